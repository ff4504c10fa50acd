"""What an application does with redis-py. Usage: python3 python_redis_app.py PORT [CA]; with CA it speaks TLS."""

import datetime
import sys
import threading

import redis


def values_and_options(client):
    assert client.set("py:k", "v", ex=100, nx=True) is True
    assert client.set("py:k", "w", nx=True) is None
    assert client.set("py:k", "w", xx=True, keepttl=True, get=True) == b"v"
    assert 90 < client.ttl("py:k") <= 100
    assert client.mget("py:k", "py:none") == [b"w", None]
    assert client.mset({"py:a": 1, "py:b": "2"}) is True
    assert client.incr("py:a", 41) == 42
    assert client.incrbyfloat("py:b", 0.5) == 2.5
    assert client.getex("py:k", px=5000) == b"w"
    assert client.expire("py:k", datetime.timedelta(hours=1), gt=True) is True
    assert client.copy("py:k", "py:copy") is True and client.rename("py:copy", "py:moved") is True
    assert client.delete("py:moved", "py:none") == 1


def errors(client):
    for call, kind in ((lambda: client.incr("py:k"), redis.ResponseError),
                       (lambda: client.execute_command("NOSUCH"), redis.ResponseError),
                       (lambda: client.rename("py:none", "x"), redis.ResponseError)):
        try:
            call()
        except kind:
            continue
        raise AssertionError("an error was expected")


def pipelines(client):
    pipeline = client.pipeline(transaction=False)
    for number in range(500):
        pipeline.set(f"py:many:{number}", number).get(f"py:many:{number}")
    assert pipeline.execute()[1::2] == [str(number).encode() for number in range(500)]
    assert set(client.scan_iter("py:many:*", count=50)) == {f"py:many:{number}".encode() for number in range(500)}


def binary(client):
    value = bytes(range(256)) * 1000
    client.set(b"py:\x00\xff", value)
    assert client.get(b"py:\x00\xff") == value
    assert client.getrange(b"py:\x00\xff", 254, 257) == b"\xfe\xff\x00\x01"


def threads(client):
    def count():
        for _ in range(100):
            client.incr("py:counter")

    workers = [threading.Thread(target=count) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert client.get("py:counter") == b"800"


def server_commands(client):
    assert client.info()["redis_version"].startswith("7.")
    assert client.ping() is True
    assert client.config_get("maxmemory*")
    assert client.client_list()[0]["cmd"]
    assert client.command_count() > 50
    assert isinstance(client.time()[0], int)


def main():
    tls = {"ssl": True, "ssl_ca_certs": sys.argv[2]} if len(sys.argv) > 2 else {}
    client = redis.Redis(port=int(sys.argv[1]), **tls)
    for part in (values_and_options, errors, pipelines, binary, threads, server_commands):
        part(client)
    print("done")


main()
