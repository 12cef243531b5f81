/** A router over the slots of a ReadsNetwork, served by two nodes with every other slot each. */
import { systemClock } from '../../src/base/clock.ts';
import { decodeEntry } from '../../src/entry/entry-codec.ts';
import { decodeMessage, encodeMessage, methodByName } from '../../src/proto/codec.ts';
import type { MessageByName, MethodName } from '../../src/proto/generated/bsky-service.ts';
import type { MessageInput } from '../../src/proto/schema.ts';
import { createReadHandlers } from '../../src/read/handler/read-handlers.ts';
import { defaultAdmissionLimits } from '../../src/router/plan/admission.ts';
import { ServiceRouter } from '../../src/router/plan/service-router.ts';
import { planByMethod } from '../../src/router/plans/service.ts';
import { parseShardMap } from '../../src/shardmap/shard-map.ts';
import type { CallHandler, NodeCaller } from '../../src/wire/node-caller.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import type { ReadsNetwork } from '../integration/reads-network.ts';
import { noIdentitySource } from './no-identities.ts';

type Request<Name extends MethodName> = MessageByName[`${Name}Request` & keyof MessageByName];
type Response<Name extends MethodName> = MessageByName[`${Name}Response` & keyof MessageByName];

const mapOf = (slots: number) =>
  parseShardMap({
    epoch: 1,
    slots,
    nodes: { n0: { host: '127.0.0.1', port: 0 }, n1: { host: '127.0.0.1', port: 0 } },
    shards: [0, 1].map((node) => ({
      name: `s${node}`,
      primary: `n${node}`,
      slots: Array.from({ length: slots / 2 }, (_unused, index) => String(2 * index + node)),
    })),
  });

/** Handlers with empty caches: a test need not say what changed. */
function handlersOf({ cluster }: ReadsNetwork, node: number): ReadonlyMap<string, CallHandler> {
  const { handlers } = createReadHandlers({
    slots: cluster.slots.length,
    stateOf: (slot) => (slot % 2 === node ? cluster.slots[slot]?.state : undefined),
    refreshReads: () => {},
    recordCacheBytes: 0,
  });
  return handlers;
}

/** Settles and asks by messages of bsky.Service, as an AppView does. */
export class RoutedNetwork {
  readonly network: ReadsNetwork;
  readonly router: ServiceRouter;

  /** With `isCached` both nodes are the network's own reads, whose caches are invalidated. */
  constructor(network: ReadsNetwork, isCached = false) {
    this.network = network;
    const caller: NodeCaller = {
      call: async ({ node, method, payload }) => {
        if (method === nodeCalls.write) return this.#write(payload);
        const handlers = isCached ? network.reads.handlers : handlersOf(network, Number(node.slice(1)));
        const handler = handlers.get(method);
        if (handler === undefined) throw new Error(`no handler of ${method}`);
        return Buffer.from(await handler(payload, { method, epoch: 1, deadlineMs: Number.MAX_SAFE_INTEGER }));
      },
    };
    this.router = new ServiceRouter({
      map: mapOf(network.cluster.slots.length),
      caller,
      identity: noIdentitySource,
      plans: planByMethod,
      admission: defaultAdmissionLimits,
      clock: systemClock,
      onFault: (error) => {
        throw error;
      },
    });
  }

  #write(payload: Uint8Array): Uint8Array {
    const entry = decodeEntry(payload);
    if (entry.kind !== 'private') throw new Error(`a write of ${entry.kind}`);
    this.network.cluster.append(entry).settle();
    return Buffer.alloc(0);
  }

  async ask<Name extends MethodName>(method: Name, request: MessageInput<Request<Name>>): Promise<Response<Name>> {
    this.network.settle();
    const names = methodByName.get(method)!;
    const bytes = encodeMessage(names.request, request as never);
    const answer = await this.router.handle(method, bytes, { caller: 'test', timeoutMs: null });
    return decodeMessage(names.response, answer) as Response<Name>;
  }
}
