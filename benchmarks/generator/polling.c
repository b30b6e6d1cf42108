/* Engine.IO's long-polling as browsers do it, on two kept-alive connections: one GET that waits for what the server
   has, and POSTs beside it, one at a time. A client's packets are: 40 once it has its sid, then its messages, and a 3
   for every 2. */
#define _GNU_SOURCE
#include "generator.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char PATH[] = "/socket.io/?EIO=4&transport=polling";

void polling_connect(struct client *client) {
    client->poller = calloc(1, sizeof *client->poller);
    link_open(&client->link, client);
}

/* The two requests that a session repeats. */
static void prepare(struct client *client, const char *sid, int sid_size) {
    struct poller *poller = client->poller;
    static char headers[HEAD], text[HEAD + 512];
    browser_headers(headers, sizeof headers, client->cookie);
    poller->get_size =
        snprintf(text, sizeof text, "GET %s&sid=%.*s HTTP/1.1\r\n%s\r\n", PATH, sid_size, sid, headers);
    poller->get_request = strdup(text);
    poller->post_head_size = snprintf(text, sizeof text,
                                      "POST %s&sid=%.*s HTTP/1.1\r\n%sContent-Type: text/plain;charset=UTF-8\r\n"
                                      "Content-Length: ",
                                      PATH, sid_size, sid, headers);
    poller->post_head = strdup(text);
}

static void post(struct client *client, const char *text, int size) {
    static char request[2 * HEAD];
    struct poller *poller = client->poller;
    memcpy(request, poller->post_head, poller->post_head_size);
    int at = poller->post_head_size + sprintf(request + poller->post_head_size, "%d\r\n\r\n", size);
    memcpy(request + at, text, size);
    poller->is_posting = 1;
    link_send(&poller->post, request, at + size);
}

static void poll_again(struct client *client) {
    link_send(&client->link, client->poller->get_request, client->poller->get_size);
}

void polling_ready(struct client *client, struct link *link) {
    static char head[HEAD];
    if (link == &client->link) {
        int size = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\n", PATH);
        size += browser_headers(head + size, sizeof head - size, client->cookie);
        if (size >= HEAD - 200) fail("a cookie of over %d bytes", HEAD - 600);
        memcpy(head + size, "\r\n", 2);
        link_send(link, head, size + 2);
        client->state = UPGRADING;
    } else {
        post(client, "40", 2);
        poll_again(client);
        client->state = JOINING;
    }
}

void polling_say(struct client *client, const struct message *message) {
    if (client->poller->is_posting)
        client->poller->next = message;
    else
        post(client, message->text, message->text_size);
}

/* The server took a POST; what waited for that goes next. */
static void posted(struct client *client) {
    struct poller *poller = client->poller;
    const struct message *next = poller->next;
    poller->is_posting = 0;
    if (poller->owes_pong) {
        poller->owes_pong = 0;
        post(client, "3", 1);
    } else if (next) {
        poller->next = NULL;
        post(client, next->text, next->text_size);
    }
}

static int packet(struct client *client, const char *text, int size) {
    if (client->state == UPGRADING) {
        const char *sid = memmem(text, size, "\"sid\":\"", 7);
        const char *end = sid ? memchr(sid + 7, '"', text + size - sid - 7) : NULL;
        if (!end) fail("no session: %.*s", size, text);
        prepare(client, sid + 7, (int)(end - sid - 7));
        link_open(&client->poller->post, client);
    } else if (text[0] == '2') {
        client->poller->owes_pong = 1;
        if (!client->poller->is_posting) posted(client);
    } else if (client->state == JOINING) {
        if (size < 2 || text[0] != '4' || text[1] != '0') fail("not joined: %.*s", size, text);
        client->state = OPEN;
        return 1;
    } else if (text[0] == '4' && arrived) {
        arrived(client);
    }
    return 0;
}

/* The answer to a GET: packets, separated by 0x1E. The next GET goes out first, as a client's does. */
static int polled(struct client *client, const char *body, int size) {
    int became_open = 0;
    if (client->state != UPGRADING) poll_again(client);
    for (const char *end = body + size; body < end;) {
        const char *separator = memchr(body, 0x1E, end - body);
        int length = (int)((separator ? separator : end) - body);
        if (length) became_open |= packet(client, body, length);
        body += length + 1;
    }
    return became_open;
}

int polling_pump(struct client *client, struct link *link) {
    memcpy(buffer, link->rest, link->left);
    int got = link_receive(link, buffer + link->left, sizeof buffer - link->left - 1);
    if (!got) return 0;
    int size = link->left + got;
    buffer[size] = 0;
    char *end = memmem(buffer, size, "\r\n\r\n", 4);
    if (end) {
        *end = 0;
        if (memcmp(buffer, "HTTP/1.1 200", 12)) fail("not answered: %.60s", buffer);
        if (strcasestr(buffer, "\r\ncontent-encoding:")) fail("a compressed answer");
        const char *header = strcasestr(buffer, "\r\ncontent-length:");
        if (!header) fail("an answer without its length");
        int head = (int)(end - buffer) + 4, length = atoi(header + 17);
        *end = '\r';
        if (size - head >= length) {
            if (size - head > length) fail("an answer to no request");
            link->left = 0;
            if (link != &client->link) return posted(client), 0;
            return polled(client, buffer + head, length);
        }
    }
    if (size > LEFT) fail("an answer of over %d bytes", LEFT);
    link->left = size;
    memcpy(link->rest, buffer, size);
    return 0;
}

void polling_end(struct client *client) {
    struct poller *poller = client->poller;
    if (poller->get_request) link_reset(&poller->post);
    free(poller->get_request);
    free(poller->post_head);
    free(poller);
    client->poller = NULL;
}
