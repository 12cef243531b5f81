/** Answers the calls about what the node's slots keep in quarantine. */
import type { Registry } from 'prom-client';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { encodeEntry } from '../entry/entry-codec.ts';
import { LabelledCounter } from '../metrics/metric.ts';
import {
  getQuarantined,
  getQuarantinedDid,
  getQuarantinedItem,
  getQuarantineState,
  type QuarantinedEntry,
  type QuarantineId,
  quarantinedDids,
  quarantinedEntries,
} from '../slot/table/quarantine-row.ts';
import type { SlotState } from '../slot/table/slot-state.ts';
import type { CallHandler } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import {
  type ListedEntry,
  quarantineDecideAnswer,
  quarantineDecideRequest,
  quarantineListAnswer,
  quarantineListRequest,
  quarantineShowAnswer,
  quarantineShowRequest,
  shownBytesMax,
} from '../wire/slot-quarantine.ts';
import type { ApplyLinkOptions } from './apply-link.ts';
import { freshState, type SlotReader } from './slot-reader.ts';
import type { SlotWrites } from './slot-writes.ts';

function listed(slot: number, { record: _record, stack: _stack, origin, ...entry }: QuarantinedEntry): ListedEntry {
  return { slot, ...entry, fromSlot: origin?.slot ?? null };
}

function find(state: SlotState, slot: number, id: QuarantineId): QuarantinedEntry {
  const entry = getQuarantined(state, id);
  if (entry === undefined) {
    throw new DataPlaneError('NotFound', `slot ${slot} keeps no entry ${id.seq}.${id.part} in quarantine`, {
      hint: '`skyshard quarantine list` shows what is kept.',
    });
  }
  return entry;
}

/** Returns the handlers, by the name of the call. */
export function quarantineHandlers(
  readers: ReadonlyMap<number, SlotReader>,
  writes: SlotWrites,
): [string, CallHandler][] {
  const stateOf = (slot: number): SlotState => freshState(readers, slot);
  return [
    [
      nodeCalls.quarantineList,
      (payload) => {
        const { slot } = quarantineListRequest.decode(payload);
        const state = stateOf(slot);
        const { stoppedMs } = getQuarantineState(state);
        const entries = quarantinedEntries(state).map((entry) => listed(slot, entry));
        return quarantineListAnswer.encode({ slot, stoppedMs, entries, dids: quarantinedDids(state) });
      },
    ],
    [
      nodeCalls.quarantineShow,
      (payload) => {
        const { slot, ...id } = quarantineShowRequest.decode(payload);
        const state = stateOf(slot);
        const entry = find(state, slot, id);
        const item = getQuarantinedItem(state, id) ?? Buffer.alloc(0);
        const itemBase64 = item.subarray(0, shownBytesMax).toString('base64');
        return quarantineShowAnswer.encode({ entry: listed(slot, entry), stack: entry.stack, itemBase64 });
      },
    ],
    [
      nodeCalls.quarantineDecide,
      async (payload) => {
        const { slot, action, ...id } = quarantineDecideRequest.decode(payload);
        const state = stateOf(slot);
        const entry = find(state, slot, id);
        const { skippedCount } = getQuarantinedDid(state, entry.did);
        await writes.appendOwn(slot, encodeEntry({ kind: 'quarantine', action, ...id }));
        const isKept = getQuarantined(stateOf(slot), id) !== undefined;
        const isReleased = entry.did !== '' && getQuarantinedDid(state, entry.did).keptCount === 0;
        const resendFrom = new Set<number>();
        if (!isKept && entry.origin !== null && (action === 'drop' || entry.isSuperseded)) {
          resendFrom.add(entry.origin.slot);
        }
        // Effects of the account's own slot were among what was skipped.
        if (isReleased && skippedCount > 0) resendFrom.add(writes.slotOf(entry.did));
        resendFrom.delete(slot);
        return quarantineDecideAnswer.encode({ isKept, resendFrom: [...resendFrom] });
      },
    ],
  ];
}

/** Returns a function that counts and notes what goes into quarantine. */
export function quarantineNoter(
  registry: Registry,
  note: (message: string, fields: Record<string, unknown>) => void,
): ApplyLinkOptions['onQuarantine'] {
  const quarantined = new LabelledCounter(registry, 'skyshard_quarantine_total');
  return (slot, { seq, kind, did, reason }) => {
    quarantined.with(kind, reasonLabel(reason)).add();
    note('an entry could not be applied and is in quarantine', { slot, seq, kind, did, reason });
  };
}

/** Returns the name of what was thrown, which is one of few. */
function reasonLabel(reason: string): string {
  return /^[A-Za-z-]{1,40}(?=:|$)/.exec(reason)?.[0] ?? 'other';
}
