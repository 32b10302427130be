import fc from 'fast-check';
import t from 'tap';
import { encodeHealthRequest, healthFault, servingStatus } from '../../../src/protocols/grpc-health.js';
import { hexBytes, hexText } from '../../../src/util/hex.js';

const body = (hex: string) => hexBytes(hex);

void t.test('a request', async (t) => {
  t.equal(hexText(encodeHealthRequest('')), '0000000000');
  t.equal(hexText(encodeHealthRequest('a.B')), '00000000050a03612e42');
});

void t.test('what a call ends with', async (t) => {
  const serving = body('00000000020801');
  t.equal(healthFault(serving, '0', undefined), undefined);
  t.equal(healthFault(body('00000000020802'), '0', ''), 'the service is NOT_SERVING');
  t.equal(
    healthFault(body('0000000000'), '0', undefined),
    'the service is UNKNOWN',
    'a field that is missing is 0',
  );
  t.equal(healthFault(body('00000000020807'), '0', undefined), 'the service is in state 7');
  t.equal(healthFault(body(''), '0', undefined), 'the answer is no HealthCheckResponse');
  t.equal(healthFault(serving, undefined, undefined), 'the answer is not gRPC: it has no grpc-status');
  t.equal(
    healthFault(body(''), '12', 'unknown%20service%0A'),
    "grpc-status 12 (UNIMPLEMENTED), 'unknown service'",
  );
  t.equal(healthFault(body(''), '5', undefined), 'grpc-status 5 (NOT_FOUND)');
  t.equal(healthFault(body(''), '99', '100%'), "grpc-status 99 (no code of gRPC), '100%'");
  t.equal(healthFault(body(''), 'x\n', undefined), "grpc-status 'x' (no code of gRPC)");
});

void t.test('HealthCheckResponse as protobuf has it', async (t) => {
  const status = (hex: string) => {
    const message = body(hex);
    return servingStatus(Uint8Array.of(0, 0, 0, 0, message.length, ...message));
  };
  t.equal(status('0801'), 1);
  t.equal(status('08020801'), 1, 'the last one counts');
  t.equal(status('1203616263080119010203040506070825010203042a00'), 1, 'fields of later versions');
  t.equal(status('088100'), 1, 'in more bytes than it needs');
  for (const wrong of ['08', '0880', '08ffffffffffffffffffff01', '1205', '1203aa', '0b', '0001', '1901']) {
    t.equal(status(wrong), undefined, wrong);
  }
  for (const wrong of [
    '',
    '00000000',
    '01000000020801',
    '00000000030801',
    '00000000010801',
    '00ffffffff0801',
  ]) {
    t.equal(servingStatus(body(wrong)), undefined, wrong);
  }
});

void t.test('random bytes are read without a fault', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.boolean(), (bytes, isFramed) => {
      const frame = isFramed ? Uint8Array.of(0, 0, 0, 0, bytes.length, ...bytes) : bytes;
      const status = servingStatus(frame);
      const fault = healthFault(frame, '0', undefined);
      return (status === 1) === (fault === undefined) && /^[ -~]{0,100}$/.test(fault ?? '');
    }),
    { numRuns: 20_000 },
  );
});
