"""postgres.durability: what a PostgreSQL that is killed has still got."""

from support.resp import wait_until

def persistence_of(database, table):
    """p: logged; u: unlogged."""
    return database.psql(f"SELECT relpersistence FROM pg_class WHERE oid = 'larder.{table}'::regclass").stdout.strip()


def killed_and_started(database, client):
    database.kill()
    wait_until(lambda: client.call("GET", "kept").startswith(b"-"), 20, "the loss to be seen")
    database.start()
    wait_until(lambda: not client.call("GET", "kept").startswith(b"-"), 30, "the database to be back")


def test_what_is_durable_survives_a_kill(lab):
    database = lab.postgres()
    larder = lab.larder("postgres", database, config={"postgres.durability": "durable"})
    assert persistence_of(database, "kv") == "p" and larder.info("tiers")["postgres_durability"] == "durable"
    with larder.connect() as client:
        for n in range(200):
            assert client.call("SET", f"k{n}", n) == b"+OK\r\n"
        assert client.pipeline([("SET", "kept", "v", "EX", 1000), ("INCR", "k0"), ("DEL", "k1")])[1:] == [b":1\r\n", b":1\r\n"]
        killed_and_started(database, client)
        assert client.value("GET", "kept") == b"v" and 900 < client.value("TTL", "kept") <= 1000
        expected = [b"1", None, *(b"%d" % n for n in range(2, 200))]
        assert client.value("MGET", *(f"k{n}" for n in range(200))) == expected


def test_what_is_not_durable_is_gone_after_a_kill(lab):
    """... and that is all: no L1 goes on with it, and Larder works on the empty tables."""
    database = lab.postgres()
    larder = lab.larder("postgres", database)
    assert persistence_of(database, "kv") == "u" and larder.info("tiers")["postgres_durability"] == "unlogged"
    with larder.connect() as client:
        assert client.call("SET", "kept", "v") == b"+OK\r\n" and client.value("GET", "kept") == b"v"
        killed_and_started(database, client)
        assert client.value("GET", "kept") is None
        wait_until(lambda: client.call("SET", "kept", "w") == b"+OK\r\n", 30, "writes to work")  # on their own connection
        assert client.value("GET", "kept") == b"w"


def test_durability_can_be_changed(lab):
    """The tables, and what is in them, follow the setting at the next start."""
    database = lab.postgres()
    for durability, expected in (("unlogged", "u"), ("durable", "p"), ("unlogged", "u")):
        larder = lab.larder("postgres", database, config={"postgres.durability": durability})
        with larder.connect() as client:
            assert persistence_of(database, "kv") == expected
            assert client.value("APPEND", "log", durability) == len(client.value("GET", "log"))
            written = client.value("GET", "log")
        larder.stop()
    assert written == b"unloggeddurableunlogged"
