/* Bytes: a connection over TCP, or over TLS where OpenSSL is there (-DWITH_TLS). */
#include "generator.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int is_tls, port, epoll;
static int ports[NODES], port_count, next_port;

/* Such as "3020" or "3020,3021": connections go to the nodes in turn. */
void read_ports(char *list) {
    for (char *one = strtok(list, ","); one && port_count < NODES; one = strtok(NULL, ",")) ports[port_count++] = atoi(one);
    if (!port_count) fail("name a port");
    port = ports[0];
}

static void wait_for(struct link *link, int operation, uint32_t what) {
    struct epoll_event event = {.events = what, .data.ptr = link};
    if (epoll_ctl(epoll, operation, link->fd, &event)) fail("epoll_ctl: %s", strerror(errno));
}

void link_open(struct link *link, struct client *client) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(ports[next_port++ % port_count])};
    int one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    link->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (link->fd < 0) fail("socket: %s", strerror(errno));
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    link->client = client;
    link->left = link->is_ready = 0;
    link->tls = NULL;
    if (connect(link->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
        fail("connect: %s", strerror(errno));
    wait_for(link, EPOLL_CTL_ADD, EPOLLOUT);
}

#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>

/* The certificate is the server's own, of this run, and not checked. */
static SSL *new_tls(int fd) {
    static SSL_CTX *context;
    if (!context) {
        context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_read_ahead(context, 1); /* one recv() a record, not two */
        SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    }
    SSL *tls = SSL_new(context);
    SSL_set_fd(tls, fd);
    SSL_set_tlsext_host_name(tls, "localhost");
    return tls;
}

static int wanted(SSL *tls, int result) {
    int error = SSL_get_error(tls, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        fail("TLS: %s", ERR_peek_error() ? ERR_reason_error_string(ERR_peek_error()) : "closed");
    return error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT;
}

int link_ready(struct link *link) {
    if (is_tls) {
        if (!link->tls) link->tls = new_tls(link->fd);
        int result = SSL_connect(link->tls);
        if (result != 1) return wait_for(link, EPOLL_CTL_MOD, wanted(link->tls, result)), 0;
    }
    wait_for(link, EPOLL_CTL_MOD, EPOLLIN);
    return link->is_ready = 1;
}

static int tls_receive(struct link *link, char *to, int size) {
    int got = SSL_read(link->tls, to, size);
    return got > 0 ? got : (wanted(link->tls, got), 0);
}

int link_has_more(struct link *link) {
    return link->tls && SSL_has_pending(link->tls);
}

static int tls_send(struct link *link, const char *bytes, int size) {
    return SSL_write(link->tls, bytes, size);
}

static void tls_end(struct link *link) {
    SSL_free(link->tls);
}
#else
int link_ready(struct link *link) {
    if (is_tls) fail("made without OpenSSL: apt-get install libssl-dev");
    wait_for(link, EPOLL_CTL_MOD, EPOLLIN);
    return link->is_ready = 1;
}

static int tls_receive(struct link *link, char *to, int size) {
    return (void)link, (void)to, (void)size, 0;
}

int link_has_more(struct link *link) {
    return (void)link, 0;
}

static int tls_send(struct link *link, const char *bytes, int size) {
    return (void)link, (void)bytes, (void)size, 0;
}

static void tls_end(struct link *link) {
    (void)link;
}
#endif

int link_receive(struct link *link, char *to, int size) {
    if (link->tls) return tls_receive(link, to, size);
    ssize_t got = recv(link->fd, to, size, 0);
    if (got < 0 && errno == EAGAIN) return 0;
    if (got <= 0) fail("the server ended a connection: %s", got ? strerror(errno) : "closed");
    return (int)got;
}

void link_send(struct link *link, const char *bytes, int size) {
    int sent = link->tls ? tls_send(link, bytes, size) : (int)send(link->fd, bytes, size, MSG_NOSIGNAL);
    if (sent != size) fail("a message was not taken: %s", strerror(errno));
}

/* No TIME_WAIT: thousands of them use the ports up. */
void link_reset(struct link *link) {
    struct linger linger = {1, 0};
    setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    if (link->tls) tls_end(link);
    link->tls = NULL;
    close(link->fd);
}
