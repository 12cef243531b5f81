/** The sources that the operator paused: table `paused-sources`, name → since when, in ms. */
import type { MirroredTable, RowCodec } from './mirrored-table.ts';
import { beginValue, readValue, textKey } from './state-codec.ts';

export type PausedSources = MirroredTable<number>;

export const pausedSourceCodec: RowCodec<number> = {
  keyOf: textKey,
  nameOf: (key) => key.toString('utf8'),
  encode: (sinceMs) => beginValue().u48(sinceMs).finish(),
  decode: (value) => readValue(value).u48(),
};
