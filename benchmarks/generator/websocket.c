/* WebSockets, raw or under Socket.IO: the head, and text frames.

   Neither Sec-WebSocket-Accept nor what a message holds is checked: a generator must cost less than any server. */
#define _GNU_SOURCE
#include "generator.h"
#include <stdio.h>
#include <string.h>

enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };

int browser_headers(char *to, int size, const char *cookie) {
    return snprintf(
        to, size,
        "Host: localhost:%d\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0 "
        "Safari/537.36\r\nOrigin: http%s://localhost:%d\r\nAccept-Encoding: gzip, deflate, br\r\n"
        "Accept-Language: en\r\nCookie: %s\r\n",
        port, is_tls ? "s" : "", port, cookie);
}

void websocket_upgrade(struct client *client) {
    static char head[HEAD];
    int size = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\n",
                        protocol == RAW ? "/ws" : "/socket.io/?EIO=4&transport=websocket");
    size += browser_headers(head + size, sizeof head - size, client->cookie);
    if (size >= HEAD - 200) fail("a cookie of over %d bytes", HEAD - 600);
    size += snprintf(head + size, sizeof head - size,
                     "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    link_send(&client->link, head, size);
    client->state = UPGRADING;
}

int websocket_frame(char *to, int opcode, const char *text, int size) {
    int at = 0;
    to[at++] = (char)(0x80 | opcode);
    if (size < 126) {
        to[at++] = (char)(0x80 | size);
    } else {
        to[at++] = (char)(0x80 | 126);
        to[at++] = (char)(size >> 8);
        to[at++] = (char)size;
    }
    memset(to + at, 0, 4);
    memcpy(to + at + 4, text, size);
    return at + 4 + size;
}

static void put(struct client *client, int opcode, const char *text, int size) {
    char frame[140];
    link_send(&client->link, frame, websocket_frame(frame, opcode, text, size));
}

/* A text under Socket.IO: gives 1 if it has made the client open. */
static int packet(struct client *client, const char *text, int size) {
    if (size && text[0] == '2') {
        put(client, TEXT, "3", 1);
    } else if (client->state == OPEN) {
        if (size && text[0] == '4' && arrived) arrived(client);
    } else if (size >= 2 && text[0] == '4') {
        if (text[1] != '0') fail("not joined: %.*s", size, text);
        client->state = OPEN;
        return 1;
    } else {
        put(client, TEXT, "40", 2);
    }
    return 0;
}

static int frame(struct client *client, int opcode, const char *text, int size) {
    if (opcode == CLOSE)
        fail("closed: %d %.*s", (unsigned char)text[0] << 8 | (unsigned char)text[1], size - 2, text + 2);
    if (opcode == PING) put(client, PONG, text, size < 126 ? size : 125);
    if (opcode != TEXT) return 0;
    if (protocol == SOCKETIO) return packet(client, text, size);
    if (arrived) arrived(client);
    return 0;
}

int websocket_pump(struct client *client) {
    struct link *link = &client->link;
    int became_open = 0, at = 0;
    memcpy(buffer, link->rest, link->left);
    int got = link_receive(link, buffer + link->left, sizeof buffer - link->left);
    if (!got) return 0;
    int size = link->left + got;
    if (client->state == UPGRADING) {
        char *end = memmem(buffer, size, "\r\n\r\n", 4);
        if (end) {
            if (memcmp(buffer, "HTTP/1.1 101", 12)) fail("not upgraded: %.60s", buffer);
            at = (int)(end - buffer) + 4;
            client->state = protocol == SOCKETIO ? JOINING : OPEN;
            became_open = protocol != SOCKETIO;
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
        became_open |= frame(client, bytes[0] & 15, (char *)bytes + head, length);
    }
    link->left = size - at;
    if (link->left > LEFT) fail("a message or a head of over %d bytes", LEFT);
    memcpy(link->rest, buffer + at, link->left);
    return became_open;
}
