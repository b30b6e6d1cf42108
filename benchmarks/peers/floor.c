/* The floor: what the system calls alone cost. One epoll, one send() a delivery; no authentication, and nothing that
   is read is understood but what a message wants, by its first letters: an echo, everybody, to join a room, or one
   room (../generator/steps.c). It speaks raw texts and, from a fixed script, Socket.IO. Prints its port. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 1 << 16, BUFFER = 1 << 16, ROOMS = 1000, MEMBERS = 64 };
static int open_fds[CLIENTS], open_count, place[CLIENTS], room_of[CLIENTS];
static int rooms[ROOMS][MEMBERS], members[ROOMS];
static char is_open[CLIENTS];
static unsigned char buffer[BUFFER];
static const char UPGRADED[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static const char ENGINE_OPENED[] =
    "\x81\x5c"
    "0{\"sid\":\"floor\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}";
static const char JOINED[] = "\x81\x11" "40{\"sid\":\"floor\"}";

static void leave_room(int fd) {
    int room = room_of[fd] - 1;
    for (int i = 0; room >= 0 && i < members[room]; i++)
        if (rooms[room][i] == fd) rooms[room][i] = rooms[room][--members[room]];
    room_of[fd] = 0;
}

static void end(int fd) {
    if (is_open[fd]) {
        is_open[fd] = 0;
        open_fds[place[fd]] = open_fds[--open_count];
        place[open_fds[open_count]] = place[fd];
        leave_room(fd);
    }
    close(fd);
}

static void begin(int fd, const unsigned char *request) {
    is_open[fd] = 1;
    place[fd] = open_count;
    open_fds[open_count++] = fd;
    send(fd, UPGRADED, sizeof UPGRADED - 1, MSG_NOSIGNAL);
    if (!memcmp(request, "GET /socket.io/", 15)) send(fd, ENGINE_OPENED, sizeof ENGINE_OPENED - 1, MSG_NOSIGNAL);
}

static void message(int fd, const unsigned char *text, const unsigned char *answer, int size) {
    int is_socketio = text[0] == '4', what = is_socketio ? text[4] : text[0];
    int room = atoi((const char *)text + (is_socketio ? 11 : 1)) % ROOMS;
    if (is_socketio && text[1] == '0') {
        send(fd, JOINED, sizeof JOINED - 1, MSG_NOSIGNAL);
    } else if (what == 'a' || what == 'b') {
        for (int i = 0; i < open_count; i++) send(open_fds[i], answer, size, MSG_NOSIGNAL);
    } else if (what == 'r') {
        for (int i = 0; i < members[room]; i++) send(rooms[room][i], answer, size, MSG_NOSIGNAL);
    } else if (what != '3') {
        if (what == 'j' && !room_of[fd] && members[room] < MEMBERS)
            rooms[room][members[room]++] = fd, room_of[fd] = room + 1;
        send(fd, answer, size, MSG_NOSIGNAL);
    }
}

static void serve(int fd) {
    ssize_t size = recv(fd, buffer, BUFFER, 0);
    if (size <= 0) {
        end(fd);
    } else if (!is_open[fd]) { /* a request comes in one piece on loopback */
        begin(fd, buffer);
    } else {
        for (ssize_t at = 0; at + 2 <= size;) {
            int length = buffer[at + 1] & 127, head = 6;
            if (length == 126) length = buffer[at + 2] << 8 | buffer[at + 3], head = 8;
            unsigned char *answer = buffer + at + 4; /* the unmasked frame, over the mask that is zero */
            memmove(answer, buffer + at, head - 4);
            answer[1] &= 127;
            message(fd, buffer + at + head, answer, length + head - 4);
            at += head + length;
        }
    }
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    struct rlimit files;
    int listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0), one = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[256];
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max < CLIENTS ? files.rlim_max : CLIENTS;
    setrlimit(RLIMIT_NOFILE, &files);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) return 1;
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("listening on %d\n", ntohs(address.sin_port));
    fflush(stdout);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd != listener) {
                serve(fd);
            } else if ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                event.data.fd = fd;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
            }
        }
    }
}
