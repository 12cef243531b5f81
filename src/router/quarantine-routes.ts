/** Operators' endpoints about what the slots of all nodes keep in quarantine. */
import * as v from 'valibot';
import { ByteWriter } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { errorFromPeer } from '../base/data-plane-error.ts';
import { wholeNumberShape } from '../config/json-shape.ts';
import { encodeEntry } from '../entry/entry-codec.ts';
import { getRoute, type JsonRoute, postRoute, refuseRequest } from '../http/json-route.ts';
import { decodeOutcomes, encodeAppend, writeChunk } from '../log/chunk.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import {
  quarantineDecideAnswer,
  quarantineDecideRequest,
  quarantineDecision,
  quarantineId,
  quarantineListAnswer,
  quarantineListRequest,
  quarantineShowAnswer,
  quarantineShowRequest,
} from '../wire/slot-quarantine.ts';
import type { ServiceRouter } from './plan/service-router.ts';

const askTimeoutMs = 30_000;
/** Slots whose lists are asked for at a time. */
const listsAtOnce = 8;

function nodeOfSlot({ fanOut }: ServiceRouter, slot: number): number {
  return fanOut.nodeBySlot[slot] ?? refuseRequest(`the map has no slot ${slot}`);
}

/** `from` sends `to` all that it owes it again. */
const resendBody = v.object({ from: wholeNumberShape(0, 65_535), to: wholeNumberShape(0, 65_535) });

/**
 * `GET /v1/quarantine` lists, `POST /v1/quarantine/show` shows one, `POST /v1/quarantine` decides,
 * `POST /v1/quarantine/resend` brings back what a decision left out.
 *
 * `slotsWithAny` returns the slots that keep something or have stopped, as their nodes say.
 */
export function quarantineRoutes(
  router: ServiceRouter,
  clock: Clock,
  slotsWithAny: () => Promise<readonly number[]>,
): JsonRoute[] {
  const ask = async (slot: number, method: string, payload: Uint8Array): Promise<Uint8Array> =>
    router.fanOut.ask(nodeOfSlot(router, slot), method, payload, clock.monotonicMs() + askTimeoutMs);
  return [
    getRoute('/v1/quarantine', async () => {
      const slots = [...(await slotsWithAny())];
      const lists = [];
      while (slots.length > 0) {
        const asked = slots.splice(0, listsAtOnce).map((slot) => {
          return ask(slot, nodeCalls.quarantineList, quarantineListRequest.encode({ slot }));
        });
        lists.push(...(await Promise.all(asked)).map((answer) => quarantineListAnswer.decode(answer)));
      }
      return { slots: lists };
    }),
    postRoute('/v1/quarantine/show', quarantineId, async (id) =>
      quarantineShowAnswer.decode(await ask(id.slot, nodeCalls.quarantineShow, quarantineShowRequest.encode(id))),
    ),
    postRoute('/v1/quarantine/resend', resendBody, async ({ from, to }) => {
      nodeOfSlot(router, to);
      const writer = new ByteWriter(64);
      const item = encodeEntry({ kind: 'resend', target: to });
      writeChunk(writer, { slot: from, origin: null, items: [item], marks: [] });
      const answer = await ask(from, nodeCalls.append, encodeAppend([writer.finish()]));
      const [outcome] = decodeOutcomes(answer, 1);
      if (outcome?.status === 'refused') throw errorFromPeer(`slot ${from}`, outcome.code, outcome.message);
      return {};
    }),
    postRoute('/v1/quarantine', quarantineDecision, async (decision) =>
      quarantineDecideAnswer.decode(
        await ask(decision.slot, nodeCalls.quarantineDecide, quarantineDecideRequest.encode(decision)),
      ),
    ),
  ];
}
