/* The load: clients on one epoll, for `python -m benchmarks.compare`.

       load raw|socketio|polling tcp|tls PORT SERVER_PID COOKIES CLIENTS SECONDS STEP...

   Of a cluster, PORT and SERVER_PID are those of all nodes, separated by commas: clients go to them in turn.
   COOKIES is a file with one Cookie header a line; client i uses line i. Each step prints one line of JSON: see
   steps.c. At the end every connection is reset, and the load waits until the server has nothing more to do. */
#include "generator.h"
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

static void raise_open_files(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

int main(int count, char **arguments) {
    if (count < 9) fail("load raw|socketio|polling tcp|tls PORT SERVER_PID COOKIES CLIENTS SECONDS STEP...");
    raise_open_files();
    protocol = !strcmp(arguments[1], "raw") ? RAW : !strcmp(arguments[1], "socketio") ? SOCKETIO : POLLING;
    is_tls = !strcmp(arguments[2], "tls");
    read_ports(arguments[3]);
    watch_servers(arguments[4]);
    read_cookies(arguments[5]);
    epoll = epoll_create1(0);
    for (int i = 8; i < count; i++) run_step(arguments[i], atoi(arguments[6]), atof(arguments[7]));
    end_all();
    wait_until_idle();
    return 0;
}
