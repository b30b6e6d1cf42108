/* One client, whatever it speaks: connected, joined, and able to say a text. */
#include "generator.h"
#include <string.h>

enum protocol protocol;
char buffer[1 << 18];
void (*arrived)(struct client *);

void client_connect(struct client *client, const char *cookie) {
    client->state = CONNECTING;
    client->cookie = cookie;
    client->since = now();
    if (protocol == POLLING)
        polling_connect(client);
    else
        link_open(&client->link, client);
}

int client_event(struct link *link) {
    struct client *client = link->client;
    int became_open = 0;
    if (!link->is_ready) {
        if (!link_ready(link)) return 0;
        if (protocol == POLLING)
            polling_ready(client, link);
        else
            websocket_upgrade(client);
        return 0;
    }
    do became_open |= protocol == POLLING ? polling_pump(client, link) : websocket_pump(client);
    while (link_has_more(link));
    return became_open;
}

void client_say(struct client *client, const struct message *message) {
    if (protocol == POLLING)
        polling_say(client, message);
    else
        link_send(&client->link, message->frame, message->frame_size);
}

void client_reset(struct client *client) {
    link_reset(&client->link);
    if (protocol == POLLING) polling_end(client);
    client->state = ENDED;
}

/* `size` bytes, all told, from its head to its tail. */
void message_set(struct message *message, const char *head, int size, const char *tail) {
    int begin = (int)strlen(head), end = (int)strlen(tail);
    if (size < begin + end) size = begin + end;
    memcpy(message->text, head, begin);
    memset(message->text + begin, 'x', size - begin - end);
    memcpy(message->text + size - end, tail, end);
    message->text[size] = 0;
    message->text_size = size;
    message->frame_size = websocket_frame(message->frame, 1, message->text, size);
}
