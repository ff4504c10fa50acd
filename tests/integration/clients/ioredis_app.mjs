// What an application does with ioredis. Usage: node ioredis_app.mjs PORT [CA]; with CA it speaks TLS.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import Redis from "ioredis";

const port = Number(process.argv[2]);
const tls = process.argv[3] ? { ca: readFileSync(process.argv[3]) } : undefined;
const redis = new Redis({ port, tls, maxRetriesPerRequest: 1, connectionName: "app" });
redis.on("error", (error) => { throw error; });

async function valuesAndOptions() {
  assert.equal(await redis.set("io:k", "v", "EX", 100, "NX"), "OK");
  assert.equal(await redis.set("io:k", "w", "NX"), null);
  assert.equal(await redis.get("io:k"), "v");
  assert.ok((await redis.ttl("io:k")) > 95);
  assert.deepEqual(await redis.mget("io:k", "io:none"), ["v", null]);
  await redis.mset({ "io:a": 1, "io:b": 2 });
  assert.equal(await redis.incrby("io:a", 41), 42);
  assert.equal(await redis.getdel("io:b"), "2");
  await assert.rejects(redis.incr("io:k"), /value is not an integer or out of range/);
}

async function binary() {
  const value = Buffer.from([0, 255, 13, 10, 0]);
  await redis.set("io:bin", value);
  assert.deepEqual(await redis.getBuffer("io:bin"), value);
}

async function pipelines() {
  const results = await redis.pipeline().set("io:p", "1").incr("io:p").get("io:p").call("nosuch").exec();
  assert.deepEqual(results.slice(0, 3), [[null, "OK"], [null, 2], [null, "2"]]);
  assert.match(results[3][0].message, /unknown command/);
}

async function manyAtOnce() {
  const auto = redis.duplicate({ enableAutoPipelining: true });
  const numbers = Array.from({ length: 2000 }, (_, n) => n);
  await Promise.all(numbers.map((n) => auto.set(`io:many:${n}`, n)));
  const values = await Promise.all(numbers.map((n) => auto.get(`io:many:${n}`)));
  assert.deepEqual(values, numbers.map(String));
  auto.disconnect();
}

async function scanning() {
  const found = new Set();
  for await (const keys of redis.scanStream({ match: "io:many:*", count: 100 })) keys.forEach((key) => found.add(key));
  assert.equal(found.size, 2000);
}

async function databasesAndPrefixes() {
  const other = new Redis({ port, tls, db: 3, keyPrefix: "app:" });
  await other.set("k", "in 3");
  assert.equal(await redis.get("app:k"), null);
  await redis.select(3);
  assert.equal(await redis.get("app:k"), "in 3");
  await redis.select(0);
  other.disconnect();
}

async function serverCommands() {
  assert.match(await redis.info("server"), /redis_version:/);
  assert.equal(await redis.client("GETNAME"), "app");
  assert.equal(await redis.ping(), "PONG");
}

for (const part of [valuesAndOptions, binary, pipelines, manyAtOnce, scanning, databasesAndPrefixes, serverCommands]) {
  await part();
}
assert.equal(await redis.quit(), "OK");
console.log("done");
