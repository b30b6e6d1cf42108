/* Time, samples, and the line of JSON that a step prints. */
#include "generator.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SAMPLES = 1 << 22 };
/* seconds; the server counts as idle when it used less than a tenth of so long a time */
static const double QUIET = 0.02, PATIENCE = 10;
static uint32_t samples[SAMPLES]; /* microseconds */
static size_t sample_count;
static clockid_t server_clocks[NODES];
static int server_count;
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

void watch_servers(char *pids) {
    for (char *pid = strtok(pids, ","); pid && server_count < NODES; pid = strtok(NULL, ","))
        if (clock_getcpuclockid(atoi(pid), &server_clocks[server_count++])) fail("there is no process %s", pid);
}

static double servers_seconds(void) {
    double seconds = 0;
    for (int i = 0; i < server_count; i++) seconds += clock_seconds(server_clocks[i]);
    return seconds;
}

void sample(double seconds) {
    if (sample_count < SAMPLES) samples[sample_count++] = (uint32_t)(seconds * 1e6);
}

static struct moment read_clocks(void) {
    return (struct moment){now(), clock_seconds(CLOCK_PROCESS_CPUTIME_ID), servers_seconds()};
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
    double before = servers_seconds(), end = now() + PATIENCE;
    while (now() < end) {
        nanosleep(&quiet, NULL);
        double used = servers_seconds();
        if (used - before < QUIET / 10) return;
        before = used;
    }
}
