/** The program before a listener's socket, run as the kernel runs it. */
import t from 'tap';
import { groupFilter } from '../../../src/io/sync/group-listener.js';
import { run } from '../io/bpf-machine.js';

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'));
const takes = (group: string, port: number, hex: string) =>
  run(groupFilter(group, port), { bytes: bytes(hex), dataAt: 0 }) > 0;

const UDP = 'c000 2290 0010 0000 0033000800010000';
const V4 = `4500 0024 0000 4000 0111 0000 0a0a0a0b e0000051 ${UDP}`;
const V6 = `60000000 0010 1101 fd000000000000000000000000000001 ff020000000000000000000000000051 ${UDP}`;

void t.test('the group of IPv4', async (t) => {
  t.ok(takes('224.0.0.81', 8848, V4));
  t.notOk(takes('224.0.0.82', 8848, V4), 'another group');
  t.notOk(takes('224.0.0.81', 8849, V4), 'another port');
  t.notOk(takes('224.0.0.81', 8848, V4.replace('0111', '0106')), 'another protocol');
  t.notOk(takes('224.0.0.81', 8848, V4.replace('4000', '2000')), 'the first fragment');
  t.notOk(takes('224.0.0.81', 8848, V4.replace('4000', '0010')), 'a later one');
  t.notOk(takes('224.0.0.81', 8848, V4.replace('4500', '4600')), 'with options');
  t.notOk(takes('224.0.0.81', 8848, V4.slice(0, 50)), 'cut off');
  t.notOk(takes('ff02::51', 8848, V4));
});

void t.test('the group of IPv6', async (t) => {
  t.ok(takes('ff02::51', 8848, V6));
  t.notOk(takes('ff02::52', 8848, V6));
  t.notOk(takes('ff02::51', 8849, V6));
  t.notOk(takes('ff02::51', 8848, V6.replace('6000', '4000')), 'another version');
  t.notOk(takes('ff02::51', 8848, V6.replace('1101', '3a01')));
});
