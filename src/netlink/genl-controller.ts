/** The generic netlink controller (include/uapi/linux/genetlink.h): from a family's name to its number. */

import type { Decoded } from './attributes.js';
import { AttributeWriter, attributesOf, decoding, u16Of } from './attributes.js';

/** GENL_ID_CTRL: netlink message type of the controller. */
export const GENL_ID_CTRL = 0x10;

const CTRL_CMD_GETFAMILY = 3;
const CTRL_VERSION = 1;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;
const GENL_HEADER_BYTES = 4;

/** The request; the kernel answers ENOENT when it has no family of this name. */
export function encodeGetFamily(name: string): Uint8Array {
  const header = Uint8Array.of(CTRL_CMD_GETFAMILY, CTRL_VERSION, 0, 0);
  return new AttributeWriter(header).string(CTRL_ATTR_FAMILY_NAME, name).finish();
}

/** The family's number, which is the message type of its requests. */
export function decodeFamilyId(payload: Uint8Array): Decoded<number> {
  return decoding(() => {
    const attributes = attributesOf(payload, GENL_HEADER_BYTES, 'CTRL_CMD_NEWFAMILY');
    return u16Of(attributes, CTRL_ATTR_FAMILY_ID, 'CTRL_ATTR_FAMILY_ID');
  });
}
