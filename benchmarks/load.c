/* The load: WebSocket clients on one epoll, for `python -m benchmarks.compare`.

       load handshakes|echo|broadcast raw|socketio PORT COOKIES CLIENTS SECONDS

   COOKIES is a file with one Cookie header a line; client i uses line i. Prints one JSON object.

   handshakes  every cookie once, CLIENTS of them at a time: connect, upgrade (and, over Socket.IO, 40), reset
   echo        every client has one message under way, for SECONDS
   broadcast   the first client has one broadcast under way, for SECONDS; times are from its first delivery to its
               last. (With several, a server that gathers writes does fewer system calls than deliveries.)

   Neither Sec-WebSocket-Accept nor what an echo holds is checked: a generator must cost less than any server. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LEFT = 1024, PAYLOAD = 128, SAMPLES = 1 << 22, AT_ONCE = 64 };
enum state { CONNECTING, UPGRADING, JOINING, OPEN, ENDED };

struct client {
    int fd;
    enum state state;
    double since;
    int left; /* bytes of a frame, or of the answer's head, that is not whole yet */
    char rest[LEFT];
};

static char **cookies;
static int cookie_count, port, is_socketio, epoll;
static struct client *clients;
static char message[PAYLOAD + 8]; /* a whole masked frame; the mask is zero */
static int message_size;
static uint32_t *samples;
static size_t sample_count;
static char buffer[1 << 18];

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void sample(double seconds) {
    if (sample_count < SAMPLES) samples[sample_count++] = (uint32_t)(seconds * 1e6);
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void print_result(double rate) {
    qsort(samples, sample_count, sizeof *samples, ascending);
    uint32_t p50 = sample_count ? samples[sample_count / 2] : 0;
    uint32_t p99 = sample_count ? samples[sample_count * 99 / 100] : 0;
    printf("{\"rate\": %.1f, \"p50_us\": %u, \"p99_us\": %u}\n", rate, p50, p99);
}

static void read_cookies(const char *path) {
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    if (!file) fail("%s: %s", path, strerror(errno));
    while ((length = getline(&line, &size, file)) > 0) {
        if (line[length - 1] == '\n') line[length - 1] = 0;
        cookies = realloc(cookies, (cookie_count + 1) * sizeof *cookies);
        cookies[cookie_count++] = strdup(line);
    }
    free(line);
    fclose(file);
    if (!cookie_count) fail("%s holds no cookie", path);
}

static int frame(char *to, const char *text) {
    int length = (int)strlen(text), at = 0;
    to[at++] = (char)0x81;
    if (length < 126) {
        to[at++] = (char)(0x80 | length);
    } else {
        to[at++] = (char)(0x80 | 126);
        to[at++] = (char)(length >> 8);
        to[at++] = (char)length;
    }
    memset(to + at, 0, 4);
    memcpy(to + at + 4, text, length);
    return at + 4 + length;
}

/* PAYLOAD bytes, all told, that say what is to be done with them. */
static void make_message(int is_broadcast) {
    char text[PAYLOAD + 1];
    const char *head = is_socketio ? (is_broadcast ? "42[\"all\",\"" : "42[\"echo\",\"") : (is_broadcast ? "b" : "e");
    const char *tail = is_socketio ? "\"]" : "";
    size_t begin = strlen(head), end = strlen(tail);
    memcpy(text, head, begin);
    memset(text + begin, 'x', PAYLOAD - begin - end);
    memcpy(text + PAYLOAD - end, tail, end);
    text[PAYLOAD] = 0;
    message_size = frame(message, text);
}

static void put(struct client *client, const char *bytes, int size) {
    if (send(client->fd, bytes, size, MSG_NOSIGNAL) != size) fail("a message was not taken: %s", strerror(errno));
}

static void connect_client(struct client *client) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = client};
    int one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (client->fd < 0) fail("socket: %s", strerror(errno));
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    client->state = CONNECTING;
    client->left = 0;
    client->since = now();
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
        fail("connect: %s", strerror(errno));
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event)) fail("epoll_ctl: %s", strerror(errno));
}

static void upgrade(struct client *client, const char *cookie) {
    static char head[1 << 16];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    int size = snprintf(
        head, sizeof head,
        "GET %s HTTP/1.1\r\nHost: localhost:%d\r\nConnection: Upgrade\r\nPragma: no-cache\r\n"
        "Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/150.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: http://localhost:%d\r\n"
        "Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en\r\n"
        "Cookie: %s\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        is_socketio ? "/socket.io/?EIO=4&transport=websocket" : "/ws", port, port, cookie);
    put(client, head, size);
    client->state = UPGRADING;
    epoll_ctl(epoll, EPOLL_CTL_MOD, client->fd, &event);
}

static void reset(struct client *client) {
    struct linger linger = {1, 0}; /* no TIME_WAIT: thousands of them use the ports up */
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(client->fd);
    client->state = ENDED;
}

/* Reads once; calls `arrived` for each text frame once the client is open. Gives 1 when it has become so. */
static int pump(struct client *client, void (*arrived)(struct client *)) {
    int became_open = 0, at = 0;
    memcpy(buffer, client->rest, client->left);
    ssize_t got = recv(client->fd, buffer + client->left, sizeof buffer - client->left, 0);
    if (got < 0 && errno == EAGAIN) return 0;
    if (got <= 0) fail("the server ended a connection: %s", got ? strerror(errno) : "closed");
    int size = client->left + (int)got;
    if (client->state == UPGRADING) {
        char *end = memmem(buffer, size, "\r\n\r\n", 4);
        if (end) {
            if (memcmp(buffer, "HTTP/1.1 101", 12)) fail("not upgraded: %.60s", buffer);
            at = (int)(end - buffer) + 4;
            client->state = is_socketio ? JOINING : OPEN;
            became_open = !is_socketio;
        }
    }
    while (client->state != UPGRADING && size - at >= 2) {
        unsigned char *bytes = (unsigned char *)buffer + at;
        int head = bytes[1] == 126 ? 4 : 2, length = bytes[1];
        if (bytes[1] == 127) fail("a message of over 64 KiB");
        if (size - at < head) break;
        if (head == 4) length = bytes[2] << 8 | bytes[3];
        if (size - at < head + length) break;
        at += head + length;
        if ((bytes[0] & 15) == 8) fail("closed: %d %.*s", bytes[head] << 8 | bytes[head + 1], length - 2, bytes + head + 2);
        if ((bytes[0] & 15) != 1) continue;
        if (client->state == JOINING) {
            char join[16];
            if (length >= 2 && bytes[head] == '4') {
                if (bytes[head + 1] != '0') fail("not joined: %.*s", length, bytes + head);
                client->state = OPEN;
                became_open = 1;
            } else {
                put(client, join, frame(join, "40"));
            }
        } else if (arrived && !(is_socketio && length && bytes[head] != '4')) {
            arrived(client);
        }
    }
    client->left = size - at;
    if (client->left > LEFT) fail("a message or a head of over %d bytes", LEFT);
    memcpy(client->rest, buffer + at, client->left);
    return became_open;
}

static void run_handshakes(int at_once) {
    struct epoll_event events[256];
    int begun = 0, done = 0;
    double begin = now();
    if (at_once > cookie_count) at_once = cookie_count;
    int *line = calloc(at_once, sizeof *line);
    for (; begun < at_once; begun++) line[begun] = begun, connect_client(&clients[begun]);
    while (done < cookie_count) {
        int count = epoll_wait(epoll, events, 256, 10000);
        if (count <= 0) fail("no handshake was answered for ten seconds");
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            if (client->state == CONNECTING) {
                upgrade(client, cookies[line[client - clients]]);
            } else if (pump(client, NULL)) {
                sample(now() - client->since);
                reset(client);
                done++;
                if (begun < cookie_count) line[client - clients] = begun++, connect_client(client);
            }
        }
    }
    print_result(cookie_count / (now() - begin));
}

static void open_all(int wanted) {
    struct epoll_event events[256];
    int begun = 0, open = 0;
    while (open < wanted) {
        while (begun < wanted && begun - open < AT_ONCE) connect_client(&clients[begun++]);
        int count = epoll_wait(epoll, events, 256, 10000);
        if (count <= 0) fail("no handshake was answered for ten seconds");
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            if (client->state == CONNECTING)
                upgrade(client, cookies[(client - clients) % cookie_count]);
            else
                open += pump(client, NULL);
        }
    }
}

static int client_count, is_measuring;
static long long arrivals;
static double first_arrival;

static void echo_arrived(struct client *client) {
    double time = now();
    arrivals++;
    if (is_measuring) sample(time - client->since);
    client->since = time;
    put(client, message, message_size);
}

static void broadcast_arrived(struct client *client) {
    (void)client;
    long long which = ++arrivals % client_count;
    if (which == 1) first_arrival = now();
    if (which == 0) {
        if (is_measuring) sample(now() - first_arrival);
        put(&clients[0], message, message_size);
    }
}

static void run_messages(void (*arrived)(struct client *), double seconds) {
    struct epoll_event events[256];
    double begin = now() + 1, end = begin + seconds; /* a second to become warm */
    long long before = 0;
    for (;;) {
        int count = epoll_wait(epoll, events, 256, 10000);
        if (count <= 0) fail("nothing arrived for ten seconds");
        for (int i = 0; i < count; i++) pump(events[i].data.ptr, arrived);
        double time = now();
        if (!is_measuring && time >= begin) is_measuring = 1, before = arrivals, begin = time;
        if (time >= end) return print_result((arrivals - before) / (time - begin));
    }
}

int main(int count, char **arguments) {
    if (count != 7) fail("load handshakes|echo|broadcast raw|socketio PORT COOKIES CLIENTS SECONDS");
    const char *mode = arguments[1];
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    is_socketio = !strcmp(arguments[2], "socketio");
    port = atoi(arguments[3]);
    read_cookies(arguments[4]);
    client_count = atoi(arguments[5]);
    clients = calloc(client_count, sizeof *clients);
    samples = malloc(SAMPLES * sizeof *samples);
    epoll = epoll_create1(0);
    if (!strcmp(mode, "handshakes")) return run_handshakes(client_count), 0;
    open_all(client_count);
    make_message(strcmp(mode, "echo"));
    if (!strcmp(mode, "echo")) {
        for (int i = 0; i < client_count; i++) clients[i].since = now(), put(&clients[i], message, message_size);
        run_messages(echo_arrived, atof(arguments[6]));
    } else {
        put(&clients[0], message, message_size);
        run_messages(broadcast_arrived, atof(arguments[6]));
    }
    return 0;
}
