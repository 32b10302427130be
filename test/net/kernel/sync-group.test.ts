/** The sync group on real interfaces: whoever listens hears what is sent there whole and in order, and on its own host too. */
import t from 'tap';
import { UdpSocket } from '../../../src/io/sockets/udp-socket.js';
import { GroupListener, type HeardMessage } from '../../../src/io/sync/group-listener.js';
import { GroupSender } from '../../../src/io/sync/group-sender.js';
import { eventually, ip, runInNamespace } from '../namespace.js';

const PORT = 8848;

class Ear {
  readonly heard: HeardMessage[] = [];
  readonly #listener: GroupListener;

  constructor(name: string, group: string) {
    this.#listener = new GroupListener({ interface: name, group, port: PORT }, (message) => {
      this.heard.push({ ...message, payload: message.payload.slice() });
    });
  }

  get texts(): string[] {
    return this.heard.map(({ payload }) => Buffer.from(payload).toString());
  }

  close(): void {
    this.#listener.close();
  }
}

await runInNamespace(import.meta.url, async () => {
  ip('link add v1 type veth peer name w1');
  ip('addr add 10.1.0.1/24 dev v1');
  ip('addr add fd01::1/64 dev v1 nodad');
  for (const name of ['v1', 'w1']) ip(`link set ${name} up`);

  for (const [group, source] of [
    ['224.0.0.81', '10.1.0.1'],
    ['ff05::51', 'fd01::1'],
  ] as const) {
    await t.test(group, async (t) => {
      const [there, here] = [new Ear('v1', group), new Ear('w1', group)];
      const sender = new GroupSender({
        interface: 'v1',
        syncid: 1,
        group,
        port: PORT,
        ttl: 1,
        maxBytes: 1452,
      });
      // Beside it: another port, and another group.
      const stranger = new UdpSocket({ type: group.includes(':') ? 'udp6' : 'udp4', port: PORT + 1 });
      t.teardown(() => {
        for (const one of [there, here, sender, stranger]) one.close();
      });
      stranger.setMulticastInterface('v1');
      stranger.send(Buffer.from('another port'), group);
      const texts = Array.from({ length: 100 }, (_, number) => `message ${number}`);
      for (const text of texts) await sender.send(Buffer.from(text));
      await eventually('all are heard', () =>
        [there, here].every(({ heard }) => heard.length >= texts.length),
      );
      t.strictSame(here.texts, texts, 'at the other end');
      t.ok(here.heard.every(({ isOwn }) => !isOwn));
      t.strictSame(there.texts, texts, 'where they are sent');
      t.ok(there.heard.every(({ isOwn }) => isOwn));
      if (group === '224.0.0.81') t.ok(here.heard.every((one) => one.source === source));
    });
  }

  await t.test('an interface that is not there', async (t) => {
    t.throws(() => new Ear('v9', '224.0.0.81'), { code: 'ENODEV' });
  });
});
