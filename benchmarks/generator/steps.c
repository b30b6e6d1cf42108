/* What is measured.

   handshakes  every cookie once (at most CLIENTS of them at a time): connect, upgrade, join where there is something to
               join, reset. `handshakes-again` is the same, by another name
   open        CLIENTS connections, at most 64 of them on the way at a time; every later step does it, if need be
   idle        the same in two parts: a line tells that the first thousand are open, and a line of standard input is
               waited for; so it goes on after the rest
   echo        every client has one message under way, for SECONDS
   events      the same with an event that wants an answer, {"event":"answer","id":1,"data":"..."}; raw only
   broadcast   the first client has one broadcast under way, for SECONDS; times are from its first delivery to its
               last. (With several, a server that gathers writes does fewer system calls than deliveries.)
   rooms       client i joins room i mod 500; the first of each room has one message to its room under way, for SECONDS;
               times are from the sending to the last delivery

   A rate counts handshakes, echoes, or deliveries. Where SECONDS are too few for three messages a client, it is measured
   until they have arrived, but no longer than twenty times SECONDS: a server that first reads from everybody, and
   then answers everybody, does nothing for so long. */
#include "generator.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { AT_ONCE = 64, WARM_UP_CLIENTS = 1000, EVENTS = 256, PATIENCE = 10000 /* ms */, ENOUGH = 3, LONGEST = 20 };
static const double WARM_UP = 0.5; /* seconds */

static char **cookies;
static int cookie_count;
static struct client *clients;
static int client_count, open_count;

void read_cookies(const char *path) {
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

/* One turn of the loop; `opened` is called for each client that has become open. */
static void turn(const char *nothing, void (*opened)(struct client *)) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, PATIENCE);
    if (count <= 0) fail("%s for ten seconds", nothing);
    for (int i = 0; i < count; i++) {
        struct link *link = events[i].data.ptr;
        if (link->client->state != ENDED && client_event(link)) opened(link->client);
    }
}

/* Handshakes */

static int begun, done;

static void begin_handshake(struct client *client) {
    client_connect(client, cookies[begun++]);
}

static void handshake_done(struct client *client) {
    sample(now() - client->since);
    client_reset(client);
    done++;
    if (begun < cookie_count) begin_handshake(client);
}

static void run_handshakes(const char *name) {
    struct client *own = calloc(client_count, sizeof *own);
    arrived = NULL;
    begun = done = 0;
    begin_figure();
    while (begun < client_count && begun < cookie_count) begin_handshake(&own[begun]);
    while (done < cookie_count) turn("no handshake was answered", handshake_done);
    end_figure();
    print_figure(name, cookie_count);
    free(own);
}

/* Connections that stay */

static void count_open(struct client *client) {
    sample(now() - client->since);
    open_count++;
}

static void open_until(int wanted) {
    int connected = open_count;
    if (!clients) clients = calloc(client_count, sizeof *clients);
    arrived = NULL;
    while (open_count < wanted) {
        for (; connected < wanted && connected - open_count < AT_ONCE; connected++)
            client_connect(&clients[connected], cookies[connected % cookie_count]);
        turn("no handshake was answered", count_open);
    }
}

static void run_open(void) {
    int before = open_count;
    begin_figure();
    open_until(client_count);
    end_figure();
    print_figure("open", open_count - before);
}

static void run_idle(void) {
    int parts[] = {WARM_UP_CLIENTS < client_count ? WARM_UP_CLIENTS : client_count, client_count};
    for (int i = 0; i < 2; i++) {
        int before = open_count;
        begin_figure();
        open_until(parts[i]);
        end_figure();
        print_figure("idle", open_count - before);
        while (getchar() != '\n')
            if (feof(stdin)) return;
    }
}

void end_all(void) {
    for (int i = 0; i < open_count; i++) client_reset(&clients[i]);
}

/* Messages */

static struct message message, room_messages[ROOMS];
static long long arrivals, outstanding;
static int is_measuring, is_ending, members, room_arrivals[ROOMS];
static double first_arrival;

/* The event of a text: "e", "b", "j012", "r012" raw, and ["echo",... ["room","012",... over Socket.IO. */
static void make_message(struct message *to, const char *event, int room, int size) {
    char head[40];
    int at = 0;
    if (protocol == RAW)
        head[at++] = event[0] == 'a' ? 'b' : event[0];
    else
        at = sprintf(head, "42[\"%s\",\"", event);
    head[at] = 0;
    if (room >= 0) at += sprintf(head + at, "%03d", room);
    if (room >= 0 && protocol != RAW && size) sprintf(head + at, "\",\"");
    message_set(to, head, size, protocol == RAW ? "" : "\"]");
}

static void make_event(struct message *to) {
    if (protocol != RAW) fail("the step events is for raw WebSockets");
    message_set(to, "{\"event\":\"answer\",\"id\":1,\"data\":\"", PAYLOAD, "\"}");
}

static void say(struct client *client, const struct message *what, int deliveries) {
    client->since = now();
    outstanding += deliveries;
    client_say(client, what);
}

static void nobody(struct client *client) {
    (void)client;
}

static void echo_arrived(struct client *client) {
    arrivals++, outstanding--;
    if (is_measuring) sample(now() - client->since);
    if (!is_ending) say(client, &message, 1);
}

static void broadcast_arrived(struct client *client) {
    (void)client;
    arrivals++, outstanding--;
    if (outstanding == client_count - 1) first_arrival = now();
    if (outstanding) return;
    if (is_measuring) sample(now() - first_arrival);
    if (!is_ending) say(&clients[0], &message, client_count);
}

static void room_arrived(struct client *client) {
    int room = (int)(client - clients) % ROOMS;
    arrivals++, outstanding--;
    if (++room_arrivals[room] < members) return;
    room_arrivals[room] = 0;
    if (is_measuring) sample(now() - clients[room].since);
    if (!is_ending) say(&clients[room], &room_messages[room], members);
}

static void join_arrived(struct client *client) {
    (void)client;
    outstanding--;
}

static void join_rooms(void) {
    members = client_count / ROOMS;
    if (!members || client_count % ROOMS) fail("rooms are for a multiple of %d clients", ROOMS);
    arrived = join_arrived;
    for (int i = 0; i < client_count; i++) {
        make_message(&message, "join", i % ROOMS, 0);
        say(&clients[i], &message, 1);
        while (outstanding >= AT_ONCE) turn("no room was joined", nobody);
    }
    while (outstanding) turn("no room was joined", nobody);
}

static int is_over(double passed, double seconds, int is_enough) {
    return passed >= seconds * LONGEST || (passed >= seconds && is_enough);
}

static void run_messages(const char *name, void (*on_arrival)(struct client *), double seconds) {
    double begin = now() + WARM_UP;
    long long before = 0, enough = (long long)ENOUGH * client_count;
    arrived = on_arrival;
    while (outstanding) {
        turn("nothing arrived", nobody);
        double time = now();
        if (!is_measuring && !is_ending && time >= begin) {
            is_measuring = 1, before = arrivals, begin = time;
            begin_figure();
        } else if (is_measuring && is_over(time - begin, seconds, arrivals - before >= enough)) {
            is_measuring = 0, is_ending = 1; /* what is under way arrives, and nothing follows */
            end_figure();
            print_figure(name, arrivals - before);
        }
    }
    is_ending = 0;
}

void run_step(const char *name, int wanted, double seconds) {
    client_count = wanted;
    if (!strncmp(name, "handshakes", 10)) return run_handshakes(name);
    if (!strcmp(name, "idle")) return run_idle();
    if (!strcmp(name, "open")) return run_open();
    open_until(client_count);
    if (!strcmp(name, "echo") || !strcmp(name, "events")) {
        if (!strcmp(name, "echo"))
            make_message(&message, "echo", -1, PAYLOAD);
        else
            make_event(&message);
        for (int i = 0; i < client_count; i++) say(&clients[i], &message, 1);
        run_messages(name, echo_arrived, seconds);
    } else if (!strcmp(name, "broadcast")) {
        make_message(&message, "all", -1, PAYLOAD);
        say(&clients[0], &message, client_count);
        run_messages(name, broadcast_arrived, seconds);
    } else if (!strcmp(name, "rooms")) {
        join_rooms();
        for (int room = 0; room < ROOMS; room++) {
            make_message(&room_messages[room], "room", room, PAYLOAD);
            say(&clients[room], &room_messages[room], members);
        }
        run_messages(name, room_arrived, seconds);
    } else {
        fail("there is no step %s", name);
    }
}
