/** On kernels of any kind: what is refused. What a device does is tested in the VM (test/vm/virtual-mac.test.ts). */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { openVirtualMacs } from '../../src/io/virtual-mac.js';
import { ip, runInNamespace } from './namespace.js';

await runInNamespace(import.meta.url, async () => {
  ip('link add v0 type veth peer name v1');
  const devices = openVirtualMacs();
  const wanted = { name: 'vrrp.51', parent: 'v0', mac: '00:00:5e:00:01:33', family: 'ipv4' } as const;
  const probe = spawnSync('ip', ['link', 'add', 'probe', 'link', 'v0', 'type', 'macvlan']);

  await t.test('a kernel without macvlan', { skip: probe.status === 0 && 'this one has it' }, async (t) => {
    await t.rejects(devices.create(wanted), {
      code: 'ERR_NO_MACVLAN',
      message: 'this kernel has no macvlan: modprobe macvlan or drop virtual_mac',
    });
    t.notMatch(ip('link'), 'vrrp.51');
  });

  await t.test('names that others have, or nobody', async (t) => {
    await t.rejects(devices.create({ ...wanted, parent: 'absent' }), { code: 'ERR_NO_INTERFACE' });
    await t.rejects(devices.create({ ...wanted, name: 'v1' }), {
      code: 'ERR_FOREIGN_DEVICE',
      message: "there is a device 'v1' that is not ours (it is no macvlan): remove or rename it",
    });
    await t.rejects(devices.remove('v1'), { code: 'ERR_FOREIGN_DEVICE' });
    t.match(ip('link'), 'v1');
    await t.resolves(devices.remove('vrrp.51'));
    await t.rejects(devices.create({ ...wanted, mac: '00:00:5e:00:01' }), RangeError);
  });

  devices.close();
});
