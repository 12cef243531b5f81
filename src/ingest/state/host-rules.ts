/** What the operator decided about hosts: table `host-rules`, host of a URL → its rule. */
import type { MirroredTable, RowCodec } from './mirrored-table.ts';
import { beginValue, readValue, textKey } from './state-codec.ts';

/** `null` is no limit of the operator's. */
export type HostRule = {
  readonly isBlocked: boolean;
  readonly eventsPerSecond: number | null;
  readonly requestsPerSecond: number | null;
};

export type HostRules = MirroredTable<HostRule>;

export const hostRuleCodec: RowCodec<HostRule> = {
  keyOf: textKey,
  nameOf: (key) => key.toString('utf8'),
  // A limit is at least 1, so 0 is none.
  encode: ({ isBlocked, eventsPerSecond, requestsPerSecond }) => {
    const value = beginValue().u8(isBlocked ? 1 : 0);
    return value
      .u32(eventsPerSecond ?? 0)
      .u32(requestsPerSecond ?? 0)
      .finish();
  },
  decode: (value) => {
    const reader = readValue(value);
    const isBlocked = reader.u8() === 1;
    return { isBlocked, eventsPerSecond: reader.u32() || null, requestsPerSecond: reader.u32() || null };
  },
};
