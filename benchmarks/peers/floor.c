/* The floor: what the system calls alone cost. One epoll, one send() a delivery; no authentication, and nothing that
   is read is understood but the first byte of a message: e is echoed, b goes to everybody. Handshakes get a fixed
   answer. Prints its port. */
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

enum { CLIENTS = 1 << 16, BUFFER = 1 << 16 };
static int open_fds[CLIENTS], open_count, place[CLIENTS];
static char is_open[CLIENTS];
static unsigned char buffer[BUFFER];
static const char UPGRADED[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static void end(int fd) {
    if (is_open[fd]) {
        is_open[fd] = 0;
        open_fds[place[fd]] = open_fds[--open_count];
        place[open_fds[open_count]] = place[fd];
    }
    close(fd);
}

static void serve(int fd) {
    ssize_t size = recv(fd, buffer, BUFFER, 0);
    if (size <= 0) {
        end(fd);
    } else if (!is_open[fd]) { /* a request comes in one piece on loopback */
        is_open[fd] = 1;
        place[fd] = open_count;
        open_fds[open_count++] = fd;
        send(fd, UPGRADED, sizeof UPGRADED - 1, MSG_NOSIGNAL);
    } else {
        for (ssize_t at = 0; at + 2 <= size;) {
            int length = buffer[at + 1] & 127, head = 6;
            if (length == 126) length = buffer[at + 2] << 8 | buffer[at + 3], head = 8;
            unsigned char *answer = buffer + at + 4; /* the unmasked frame, over the mask that is zero */
            int answer_size = length + head - 4;
            int is_broadcast = buffer[at + head] == 'b';
            memmove(answer, buffer + at, head - 4);
            answer[1] &= 127;
            if (!is_broadcast)
                send(fd, answer, answer_size, MSG_NOSIGNAL);
            else
                for (int i = 0; i < open_count; i++) send(open_fds[i], answer, answer_size, MSG_NOSIGNAL);
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
