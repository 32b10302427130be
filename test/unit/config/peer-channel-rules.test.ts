/** The peer channel: when there is one, with whom, and what of a file its peers compare. */
import t from 'tap';
import { parseConfig } from '../../../src/config/parse.js';
import { sectionTexts } from '../../../src/config/section-texts.js';

const DIRECTORS = 'directors: { lb1: { address: 10.0.0.1 }, lb2: { address: 10.0.0.2 } }';
const SYNC = 'connection_sync: { interface: eth1, id: 1 }';

function parse(...lines: string[]) {
  return parseConfig(['version: 1', ...lines, ''].join('\n'), { name: 'lb1' });
}

function channelOf(...lines: string[]) {
  const result = parse(...lines);
  return result.ok ? result.config.peerChannel : result.faults;
}

function faultOf(line: string): string | undefined {
  const result = parse(DIRECTORS, line);
  return result.ok ? undefined : `${result.faults[0]?.path}: ${result.faults[0]?.message}`;
}

void t.test('it is there with connection_sync, or when it is asked for', async (t) => {
  t.equal(channelOf(DIRECTORS), undefined);
  t.match(channelOf(DIRECTORS, SYNC), {
    address: '10.0.0.1',
    port: 8113,
    peers: [{ name: 'lb2', address: '10.0.0.2' }],
  });
  t.match(channelOf(DIRECTORS, 'peer_channel: { port: 9000, gateway: 10.0.0.254, key_file: /etc/key }'), {
    port: 9000,
    keyFile: '/etc/key',
    gateway: '10.0.0.254',
  });
  t.equal(channelOf(DIRECTORS, SYNC, 'peer_channel: off'), undefined);
});

void t.test('nobody to speak to', async (t) => {
  t.equal(channelOf('directors: { lb1: { address: 10.0.0.1 } }', SYNC), undefined);
  const mixed =
    'directors: { lb1: { address: 10.0.0.1 }, lb2: { address: "2001:db8::2" }, lb3: { address: 10.0.0.3 } }';
  t.match(channelOf(mixed, SYNC), { peers: [{ name: 'lb3' }] }, 'those of the same family');
});

void t.test('what is wrong', async (t) => {
  t.equal(
    faultOf('peer_channel: on'),
    "peer_channel: expected a mapping (port, key_file, gateway), or 'off', not 'on'",
  );
  t.equal(
    faultOf('peer_channel: { port: 0 }'),
    'peer_channel.port: expected a whole number from 1 to 65535, not 0',
  );
  t.match(faultOf('peer_channel: { key_file: peer.key }'), /^peer_channel.key_file: expected the whole path/);
  t.match(faultOf('peer_channel: { gateway: router }'), /^peer_channel.gateway: 'router' /);
  t.match(faultOf('peer_channel: { keyfile: /x }'), /unknown key 'keyfile'.*key_file/);
});

void t.test('two files that say the same are the same, whatever the order of their keys', async (t) => {
  const texts = (text: string) => sectionTexts(text === '' ? undefined : JSON.parse(text));
  t.same(texts(''), {});
  const one = texts('{"vrrp":{"a":[1,{"x":"1s","y":null}],"b":true},"ipvs":{}}');
  t.same(one, texts('{"ipvs":{},"vrrp":{"b":true,"a":[1,{"y":null,"x":"1s"}]}}'));
  t.not(
    one['vrrp'],
    texts('{"vrrp":{"a":[{"x":"1s","y":null},1],"b":true}}')['vrrp'],
    'a list has its order',
  );
  t.not(one['vrrp'], texts('{"vrrp":{"a":[1,{"x":"1s"}],"b":true}}')['vrrp']);
});
