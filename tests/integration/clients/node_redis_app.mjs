// What an application does with node-redis, in RESP2 and RESP3. Usage: node node_redis_app.mjs PORT
import assert from "node:assert/strict";
import { createClient, createClientPool } from "redis";

const url = `redis://127.0.0.1:${process.argv[2]}`;

async function application(RESP) {
  const name = `node${RESP}`;
  const client = createClient({ url, RESP, name });
  client.on("error", (error) => { throw error; });
  await client.connect();
  const key = (suffix) => `${name}:${suffix}`;

  assert.equal(await client.set(key("k"), "v", { expiration: { type: "PX", value: 100_000 } }), "OK");
  assert.equal(await client.set(key("k"), "w", { condition: "NX" }), null);
  assert.equal(await client.get(key("k")), "v");
  assert.ok((await client.pTTL(key("k"))) > 90_000);
  await client.mSet([[key("a"), "1"], [key("b"), "2.5"]]);
  assert.deepEqual(await client.mGet([key("a"), key("none")]), ["1", null]);
  assert.equal(await client.incr(key("a")), 2);
  assert.equal(String(await client.incrByFloat(key("b"), 0.25)), "2.75");
  assert.equal(await client.exists([key("a"), key("none")]), 1);
  await assert.rejects(client.incr(key("k")), /not an integer/);
  await assert.rejects(client.sendCommand(["NOSUCH"]), /unknown command/);

  const numbers = Array.from({ length: 1000 }, (_, n) => n);
  await Promise.all(numbers.map((n) => client.set(key(`many:${n}`), String(n))));
  assert.deepEqual(await Promise.all(numbers.map((n) => client.get(key(`many:${n}`)))), numbers.map(String));
  const found = new Set();
  for await (const keys of client.scanIterator({ MATCH: key("many:*"), COUNT: 50 })) keys.forEach((k) => found.add(k));
  assert.equal(found.size, 1000);

  assert.equal(await client.clientGetName(), name);
  assert.ok((await client.unlink(numbers.map((n) => key(`many:${n}`)))) === 1000);
  await client.close();
}

async function pool() {
  const clients = await createClientPool({ url }, { maximum: 8 }).connect();
  await Promise.all(Array.from({ length: 200 }, (_, n) => clients.incrBy("node:pool", n)));
  assert.equal(await clients.get("node:pool"), String((199 * 200) / 2));
  await clients.close();
}

await application(2);
await application(3);
await pool();
console.log("done");
process.exit(0);  // the pool's own timer fails when it fires after close()
