// What an application does with ioredis' subscriptions. Usage: node ioredis_pubsub.mjs PORT
import assert from "node:assert/strict";
import { once } from "node:events";
import Redis from "ioredis";

const port = Number(process.argv[2]);
const publisher = new Redis({ port, maxRetriesPerRequest: 1 });
const subscriber = new Redis({ port, maxRetriesPerRequest: 1 });

async function messages() {
  assert.equal(await subscriber.subscribe("io:a", "io:b"), 2);
  assert.equal(await subscriber.psubscribe("io:?"), 3);
  const message = once(subscriber, "message");
  const matched = once(subscriber, "pmessage");
  await publisher.publish("io:a", "hello");
  assert.deepEqual(await message, ["io:a", "hello"]);
  assert.deepEqual(await matched, ["io:?", "io:a", "hello"]);
  assert.equal(await subscriber.punsubscribe("io:?"), 2);
}

async function manyMessages() {
  const heard = [];
  const all = new Promise((resolve) => {
    subscriber.on("message", (channel, text) => { if (heard.push(text) === 2000) resolve(); });
  });
  await Promise.all(Array.from({ length: 2000 }, (_, n) => publisher.publish("io:b", n)));
  await all;
  assert.deepEqual(heard, Array.from({ length: 2000 }, (_, n) => String(n)));
  subscriber.removeAllListeners("message");
}

async function resubscribingAfterALoss() {
  const closed = once(subscriber, "close");
  await publisher.client("KILL", "TYPE", "pubsub");
  await closed;
  await once(subscriber, "ready");
  let message = null;
  subscriber.on("message", (...args) => { message = args; });
  while (message === null) {
    await publisher.publish("io:a", "again");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.deepEqual(message, ["io:a", "again"]);
}

async function backToOrdinary() {
  assert.equal(await subscriber.unsubscribe(), 0);
  assert.equal(await subscriber.set("io:k", "v"), "OK");
  assert.equal(await subscriber.get("io:k"), "v");
}

for (const part of [messages, manyMessages, resubscribingAfterALoss, backToOrdinary]) await part();
publisher.disconnect();
subscriber.disconnect();
console.log("done");
