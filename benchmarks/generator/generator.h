/* The load of `python -m benchmarks.compare`: what its files share. main.c says how it is called.

       main.c       the command line: which steps, one after the other
       steps.c      what is measured: handshakes, echo, broadcast, rooms, idle
       client.c     one client, whatever it speaks: states, and how a text is said
       websocket.c  heads and frames
       polling.c    Engine.IO's long-polling: one GET waiting, POSTs beside it
       link.c       bytes: TCP, or TLS where OpenSSL is there
       figures.c    time, samples, the line of JSON */
#ifndef GENERATOR_H
#define GENERATOR_H
#include <stddef.h>
#include <stdint.h>

enum { LEFT = 1024, PAYLOAD = 128, ROOMS = 500, HEAD = 1 << 13, NODES = 8 };
enum state { CONNECTING, UPGRADING, JOINING, OPEN, ENDED };
enum protocol { RAW, SOCKETIO, POLLING };

/* A TCP connection of a client, and what it has read of a frame or an answer that is not whole yet. */
struct link {
    int fd, is_ready;
    void *tls;
    struct client *client;
    int left;
    char rest[LEFT];
};

/* A text, as it is, and as a masked frame (the mask is zero). */
struct message {
    char text[PAYLOAD + 1], frame[PAYLOAD + 9];
    int text_size, frame_size;
};

/* Long-polling only; see polling.c. */
struct poller {
    struct link post;
    char *get_request, *post_head;
    int get_size, post_head_size;
    int is_posting, owes_pong;
    const struct message *next;
};

struct client {
    enum state state;
    const char *cookie;
    double since; /* when its handshake began, or its message was sent */
    struct link link;
    struct poller *poller;
};

extern enum protocol protocol;
extern int is_tls, port, epoll; /* the first node's port */
extern char buffer[1 << 18];
/* called for every message that arrives at an open client; NULL: nobody cares */
extern void (*arrived)(struct client *);

/* figures.c */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
double now(void); /* seconds */
void watch_servers(char *pids); /* of one, or of the nodes of a cluster: "17,18" */
void sample(double seconds);
void begin_figure(void); /* forgets the samples so far */
void end_figure(void);
void print_figure(const char *step, long long count);
void wait_until_idle(void); /* the server */

/* link.c: whatever fails ends the program */
void read_ports(char *list);
void link_open(struct link *link, struct client *client);
int link_ready(struct link *link); /* 1 once it carries bytes */
int link_receive(struct link *link, char *to, int size); /* 0: nothing now */
int link_has_more(struct link *link); /* bytes that no event will tell of */
void link_send(struct link *link, const char *bytes, int size);
void link_reset(struct link *link);

/* websocket.c, polling.c: both give 1 when the client has become open */
int websocket_pump(struct client *client);
void websocket_upgrade(struct client *client);
int websocket_frame(char *to, int opcode, const char *text, int size);
int polling_pump(struct client *client, struct link *link);
void polling_connect(struct client *client);
void polling_ready(struct client *client, struct link *link);
void polling_say(struct client *client, const struct message *message);
void polling_end(struct client *client);
/* The headers that a browser sends with every request, from Host to Cookie. */
int browser_headers(char *to, int size, const char *cookie);

/* client.c */
void client_connect(struct client *client, const char *cookie);
int client_event(struct link *link); /* 1 when its client has become open */
void client_say(struct client *client, const struct message *message);
void client_reset(struct client *client);
void message_set(struct message *message, const char *head, int size, const char *tail);

/* steps.c */
void read_cookies(const char *path);
void run_step(const char *name, int clients, double seconds);
void end_all(void);
#endif
