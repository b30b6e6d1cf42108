"""Sessions in a cluster: what a login, a refresh and a logout at one node mean to the others. The pool is moto's."""

from __future__ import annotations

import time
from typing import Any

from tests.integration.cluster_clients import RawClient
from tests.integration.mixed_cluster import Cluster, ClusterCase, OurNode, until
from tests.integration.moto import CREDENTIALS, missing, shared

PASSWORD = "Correct-horse-1!"
USERNAMES = ("ann", "ben")
SIGNED_OUT = (1008, "Signed out")
REFUSED = (1008, "Invalid authentication token")


class SessionTests(ClusterCase):
    skip = missing()

    def setUp(self) -> None:
        moto = shared()
        moto.reset()
        pool = moto.boto3.create_user_pool(PoolName="people")["UserPool"]["Id"]
        client = moto.boto3.create_user_pool_client(
            UserPoolId=pool,
            ClientName="app",
            ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        )["UserPoolClient"]
        for name in USERNAMES:
            user = {"UserPoolId": pool, "Username": name}
            moto.boto3.admin_create_user(**user, TemporaryPassword=PASSWORD, MessageAction="SUPPRESS")
            moto.boto3.admin_set_user_password(**user, Password=PASSWORD, Permanent=True)
        env = {
            "AWS_REGION": CREDENTIALS["AWS_DEFAULT_REGION"],
            "AWS_COGNITO_USER_POOL_ID": pool,
            "AWS_COGNITO_CLIENT_ID": client["ClientId"],
            "AWS_ENDPOINT_URL": moto.url,
        }
        self.cluster: Cluster = self.make(env=env, with_node=False)

    def log_in(self, node: OurNode, name: str = "ann") -> str:
        return node.service.log_in(name, PASSWORD)

    def connect(self, name: str, node: OurNode, cookie: str) -> RawClient:
        client = self.cluster.raw(name, node, cookie=cookie)
        self.addCleanup(client.close)
        return client

    def post(self, node: OurNode, path: str, cookie: str, status: int) -> Any:
        answer = node.service.request("POST", path, {}, cookie=cookie)
        self.assertEqual(answer.status, status, answer)
        return answer

    def test_a_logout_at_one_node_closes_the_sessions_sockets_at_all(self) -> None:
        one, two = self.cluster.one, self.cluster.two
        cookie, other, of_ben = self.log_in(one), self.log_in(one), self.log_in(two, "ben")
        ending = [self.connect(f"ending {n}", node, cookie) for n, node in enumerate((one, two, two))]
        staying = [self.connect("other session", two, other), self.connect("ben", two, of_ben)]
        for client in (*ending, *staying):
            client.ask("run", {"do": "served"})
        self.post(one, "/auth/logout", cookie, 204)
        for client in ending:
            self.assertEqual(client.wait_left(), SIGNED_OUT, client.name)
        for node in (one, two):
            self.assertEqual(self.connect("again", node, cookie).wait_left(), REFUSED)
        for client in staying:
            client.ask("run", {"do": "served"})
            self.assertIsNone(client.left)

    def end_everywhere(self, node: OurNode, cookie: str) -> None:
        answer = node.service.request("POST", "/auth/logout", {"everywhere": True}, cookie=cookie)
        self.assertEqual(answer.status, 204, answer)

    def test_a_logout_everywhere_closes_all_sockets_of_the_user_at_all_nodes(self) -> None:
        one, two = self.cluster.one, self.cluster.two
        cookie, other, of_ben = self.log_in(one), self.log_in(two), self.log_in(two, "ben")
        ending = [
            self.connect(f"{name} at {node.name}", node, session)
            for node in (one, two)
            for name, session in (("hers", cookie), ("another session", other))
        ]
        ben = self.connect("ben", two, of_ben)
        for client in (*ending, ben):
            client.ask("run", {"do": "served"})
        self.end_everywhere(one, cookie)
        for client in ending:
            self.assertEqual(client.wait_left(), SIGNED_OUT, client.name)
        for node in (one, two):
            for session in (cookie, other):
                self.assertEqual(self.connect("again", node, session).wait_left(), REFUSED)
                self.assertEqual(node.service.request("GET", "/auth/me", cookie=session).status, 401)
        self.post(two, "/auth/refresh", other, 401)
        ben.ask("run", {"do": "served"})
        self.post(one, "/auth/refresh", of_ben, 200)
        for node in (one, two):  # and whoever has the password is in again
            self.connect("a new login", node, self.log_in(one)).ask("run", {"do": "served"})
        for node in (one, two):
            self.assertNotIn(other.partition("authToken=")[2].partition(";")[0], node.service.log)

    def test_a_node_that_starts_later_knows_who_has_signed_out_everywhere(self) -> None:
        one = self.cluster.one
        cookie, other = self.log_in(one), self.log_in(one)
        self.end_everywhere(one, cookie)
        new = self.log_in(one)
        three = self.cluster.start_node("three")
        until(lambda: self.connect("again", three, other).wait_left() == REFUSED, "node three knows")
        self.connect("a new login", three, new).ask("run", {"do": "served"})

    def test_a_node_that_starts_later_knows_who_has_signed_out(self) -> None:
        cookie, other = self.log_in(self.cluster.one), self.log_in(self.cluster.one)
        self.post(self.cluster.one, "/auth/logout", cookie, 204)
        three = self.cluster.start_node("three")
        until(lambda: self.connect("again", three, cookie).wait_left() == REFUSED, "node three knows")
        self.connect("other session", three, other).ask("run", {"do": "served"})

    def test_a_node_that_was_cut_off_learns_who_has_signed_out(self) -> None:
        one, two, redis = self.cluster.one, self.cluster.two, self.cluster.redis
        cookie = self.log_in(one)
        client = self.connect("cut off", two, cookie)
        client.ask("run", {"do": "served"})
        redis.ask("CLIENT", "PAUSE", "60000", "WRITE")  # nobody publishes meanwhile
        redis.ask("CLIENT", "KILL", "TYPE", "pubsub")
        self.post(one, "/auth/logout", cookie, 204)
        redis.ask("CLIENT", "UNPAUSE")
        self.assertEqual(client.wait_left(), SIGNED_OUT)

    def test_a_logout_while_redis_is_away_reaches_the_others_when_it_is_back(self) -> None:
        one, two, redis = self.cluster.one, self.cluster.two, self.cluster.redis
        cookies = [self.log_in(one), self.log_in(two)]
        everywhere = [self.log_in(one, "ben"), self.log_in(one, "ben")]
        clients = [
            self.connect("at two", two, cookies[0]),
            self.connect("at one", one, cookies[1]),
            self.connect("another session at two", two, everywhere[1]),
        ]
        for client in clients:
            client.ask("run", {"do": "served"})
        self.cluster.wait_until_counted()
        redis.kill()
        until(lambda: not one.is_ready and not two.is_ready, "both have noticed")
        self.post(one, "/auth/logout", cookies[0], 204)
        self.post(two, "/auth/logout", cookies[1], 204)
        self.end_everywhere(one, everywhere[0])
        redis.start()
        for client in clients:
            self.assertEqual(client.wait_left(), SIGNED_OUT, client.name)
        until(lambda: redis.ask("ZCARD", "socket.io:ws:ended") == 3, "nodes that start later will know")
        until(lambda: redis.ask("ZCARD", "socket.io:ws:ended_users") == 1, "of the user, too")

    def test_a_refresh_at_one_node_renews_the_sessions_sockets_at_all(self) -> None:
        one, two = self.cluster.one, self.cluster.two
        cookie, other = self.log_in(one), self.log_in(one)
        logged_in = int(time.time())
        client, of_other = self.connect("renewed", two, cookie), self.connect("other session", two, other)
        of_other.ask("run", {"do": "served"})  # it is let in
        before = client.ask("run", {"do": "expiries"})
        self.assertEqual(len(before), 2)
        until(lambda: time.time() > logged_in + 1, "a token has another time")
        self.post(one, "/auth/refresh", cookie, 200)

        def renewed() -> dict[str, float]:
            now = of_other.ask("run", {"do": "expiries"})
            return {id: until for id, until in now.items() if until > before[id]}

        self.assertEqual(len(until(renewed, "one is renewed")), 1)
        self.assertIsNone(of_other.left)
