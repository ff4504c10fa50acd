"""What an application does with redis-py's RedisCluster, which asks the server where the keys of each command stand.
Usage: python3 python_redis_cluster.py PORT"""

import logging
import sys

import redis
from redis.cluster import RedisCluster

LIBRARY = "#!lua name=app\nredis.register_function('first', function(keys, arguments) return keys[1] end)"


def types(client):
    assert client.set("s", "1") and client.get("s") == "1"
    assert client.hset("h", mapping={"f": "v", "g": "w"}) == 2 and client.hgetall("h") == {"f": "v", "g": "w"}
    assert client.lpush("l", "b", "a") == 2 and client.lrange("l", 0, -1) == ["a", "b"]
    assert client.sadd("u", "x") == 1 and client.zadd("z", {"a": 1, "b": 2}) == 2
    assert client.zunion(["{z}1", "{z}2"]) == [] and client.sintercard(2, ["{u}1", "{u}2"]) == 0
    assert client.xadd("x", {"f": "v"}, id="1-1") == "1-1"
    assert client.xread({"x": 0}) == [["x", [("1-1", {"f": "v"})]]]
    assert client.xgroup_create("x", "g", "0") and client.xreadgroup("g", "c", {"x": ">"})[0][0] == "x"
    assert client.blpop(["l"], timeout=1) == ("l", "a") and client.lmpop(1, "l", direction="LEFT") == ["l", ["b"]]
    assert client.geoadd("geo", (13.3, 38.1, "P")) == 1 and client.bitfield("bits").set("u8", 0, 1).execute() == [0]


def scripts(client):
    assert client.eval("return KEYS[1]", 1, "k") == "k"
    assert client.register_script("return ARGV[1]")(keys=["k"], args=["a"]) == "a"
    assert client.function_load(LIBRARY, replace=True) == "app" and client.fcall("first", 1, "k") == "k"


def many_keys(client):
    assert client.mset_nonatomic({"a": 1, "b": 2, "c": 3}) and client.mget_nonatomic("a", "b", "none") == ["1", "2", None]
    pipeline = client.pipeline()
    pipeline.set("p", "1").xadd("q", {"a": 1}, id="1-1").bitcount("p").hset("r", "f", "v").zadd("t", {"m": 1})
    assert pipeline.execute() == [True, "1-1", 3, 1, 1]
    assert client.delete("a", "b", "c") == 3 and set(client.scan_iter("p")) == {"p"}


def administration(client):
    assert client.execute_command("SINTERCARD", "2", "{a}1", "{a}2") == 0
    assert client.readonly(target_nodes=RedisCluster.ALL_NODES) and client.readwrite(target_nodes=RedisCluster.ALL_NODES)
    slot = client.cluster_keyslot("s")
    assert client.cluster_countkeysinslot(slot) == 1 and client.cluster_get_keys_in_slot(slot, 10) == ["s"]
    subscriber = client.pubsub()
    subscriber.subscribe("news")
    assert subscriber.get_message(timeout=5)["type"] == "subscribe"
    client.publish("news", "now")
    assert subscriber.get_message(timeout=5)["data"] == "now"


def main():
    port = int(sys.argv[1])
    for options in ({}, {"read_from_replicas": True}):
        client = RedisCluster(host="127.0.0.1", port=port, decode_responses=True, **options)
        for part in (types, scripts, many_keys, administration):
            part(client)
        client.flushall()
        client.close()
    print("done")


if __name__ == "__main__":
    assert redis.VERSION >= (4,), redis.__version__
    logging.disable()  # it logs errors that it handles
    main()
