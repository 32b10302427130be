/** A thread of `npm run sim`: runs one episode after the other as it is told. */
import { parentPort } from 'node:worker_threads';
import { type Order, runOrder } from './orders.js';

async function run(order: Order): Promise<void> {
  parentPort?.postMessage(await runOrder(order), []);
}

parentPort?.on('message', (order: Order) => void run(order));
