// node-redis answers reads from a cache of its own, which CLIENT TRACKING keeps right. Usage: node node_redis_cache.mjs PORT
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { BasicClientSideCache, createClient } from "redis";

const url = `redis://127.0.0.1:${process.argv[2]}`;
const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 0, evictPolicy: "LRU", recordStats: true });
const reader = await createClient({ url, RESP: 3, clientSideCache: cache }).connect();
const writer = await createClient({ url }).connect();

async function reads(key, value) {
  const deadline = Date.now() + 10_000;
  while ((await reader.get(key)) !== value) {
    assert.ok(Date.now() < deadline, `${key} is not ${value}`);
    await sleep(1);
  }
}

for (let n = 0; n < 20; ++n) {
  await writer.set("k", String(n));
  await reads("k", String(n));
  const before = cache.stats().hitCount;
  for (let i = 0; i < 10; ++i) assert.equal(await reader.get("k"), String(n));
  assert.ok(cache.stats().hitCount >= before + 9, "hardly anything was answered from the cache");
}
await writer.hSet("h", "f", "v").catch((error) => assert.match(error.message, /unknown command/));
await writer.flushAll();
await reads("k", null);
await reader.close();
await writer.close();
