"""What an application does with redis-py's subscriptions. Usage: python3 python_redis_pubsub.py PORT"""

import sys
import time

import redis


def next_message(pubsub):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if message := pubsub.get_message(timeout=1):
            return message
    raise AssertionError("no message came")


def messages_and_patterns(client):
    with client.pubsub() as pubsub:
        pubsub.subscribe("py:news")
        pubsub.psubscribe("py:n*")
        assert [next_message(pubsub)["type"] for _ in range(2)] == ["subscribe", "psubscribe"]
        client.publish("py:news", "hello")
        heard = [next_message(pubsub) for _ in range(2)]
        assert sorted(message["type"] for message in heard) == ["message", "pmessage"]
        assert all(message["data"] == b"hello" for message in heard)
        pubsub.ping("are you there")
        assert next_message(pubsub)["data"] == b"are you there"
        pubsub.unsubscribe()
        pubsub.punsubscribe()
        assert [next_message(pubsub)["type"] for _ in range(2)] == ["unsubscribe", "punsubscribe"]
        assert not pubsub.subscribed


def a_thread_that_listens(client):
    heard = []
    pubsub = client.pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe(**{"py:work": lambda message: heard.append(message["data"])})
    assert next_confirmation(pubsub)
    thread = pubsub.run_in_thread(sleep_time=0.01)
    for number in range(500):
        client.publish("py:work", number)
    deadline = time.monotonic() + 10
    while len(heard) < 500 and time.monotonic() < deadline:
        time.sleep(0.01)
    thread.stop()
    thread.join()
    assert heard == [str(number).encode() for number in range(500)]


def next_confirmation(pubsub):
    """With ignore_subscribe_messages it is swallowed, but seen."""
    return pubsub.get_message(timeout=5) is None and pubsub.subscribed


def main():
    with redis.Redis(port=int(sys.argv[1]), health_check_interval=1) as client:
        messages_and_patterns(client)
        a_thread_that_listens(client)
    print("done")


main()
