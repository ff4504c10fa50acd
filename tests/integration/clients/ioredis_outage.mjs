// An application that subscribes once and leaves the rest to ioredis. Usage: node ioredis_outage.mjs PORT
import { once } from "node:events";
import Redis from "ioredis";

const subscriber = new Redis({ port: Number(process.argv[2]) });
subscriber.on("error", () => {}); // of connections that it could not make
await subscriber.subscribe("io:out");
await once(subscriber, "message");
subscriber.disconnect();
console.log("done");
