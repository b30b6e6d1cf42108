/* Time, samples, and the line of JSON that a step prints. */
#include "generator.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SAMPLES = 1 << 22 };
/* seconds; the server counts as idle when it used less than a tenth of so long a time */
static const double QUIET = 0.02, PATIENCE = 10;
static uint32_t samples[SAMPLES]; /* microseconds */
static size_t sample_count;
static clockid_t server_clock;
static struct moment {
    double time, load, server; /* the clock, and the processor time of both */
} begun, ended;

void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

static double clock_seconds(clockid_t clock) {
    struct timespec time;
    if (clock_gettime(clock, &time)) fail("the server is gone");
    return time.tv_sec + time.tv_nsec * 1e-9;
}

double now(void) {
    return clock_seconds(CLOCK_MONOTONIC);
}

void watch_server(int pid) {
    if (clock_getcpuclockid(pid, &server_clock)) fail("there is no process %d", pid);
}

void sample(double seconds) {
    if (sample_count < SAMPLES) samples[sample_count++] = (uint32_t)(seconds * 1e6);
}

static struct moment read_clocks(void) {
    return (struct moment){now(), clock_seconds(CLOCK_PROCESS_CPUTIME_ID), clock_seconds(server_clock)};
}

void begin_figure(void) {
    sample_count = 0;
    begun = read_clocks();
}

void end_figure(void) {
    ended = read_clocks();
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

void print_figure(const char *step, long long count) {
    double seconds = ended.time - begun.time;
    qsort(samples, sample_count, sizeof *samples, ascending);
    printf("{\"step\": \"%s\", \"rate\": %.1f", step, count / seconds);
    if (sample_count)
        printf(", \"p50_us\": %u, \"p99_us\": %u", samples[sample_count / 2], samples[sample_count * 99 / 100]);
    printf(", \"load_busy\": %.3f, \"server_busy\": %.3f}\n", (ended.load - begun.load) / seconds,
           (ended.server - begun.server) / seconds);
    fflush(stdout);
}

/* What a server does about clients that left must not run beside what is measured next on its core. */
void wait_until_idle(void) {
    struct timespec quiet = {0, (long)(QUIET * 1e9)};
    double before = clock_seconds(server_clock), end = now() + PATIENCE;
    while (now() < end) {
        nanosleep(&quiet, NULL);
        double used = clock_seconds(server_clock);
        if (used - before < QUIET / 10) return;
        before = used;
    }
}
