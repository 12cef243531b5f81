/** A router over the slots of a ReadsNetwork: two nodes serve every other slot each, or one all. */
import { systemClock } from '../../src/base/clock.ts';
import { decodeEntry } from '../../src/entry/entry-codec.ts';
import { decodeMessage, encodeMessage, methodByName } from '../../src/proto/codec.ts';
import type { MessageByName, MethodName } from '../../src/proto/generated/bsky-service.ts';
import type { MessageInput } from '../../src/proto/schema.ts';
import { createReadHandlers } from '../../src/read/handler/read-handlers.ts';
import { defaultAdmissionLimits } from '../../src/router/plan/admission.ts';
import { ServiceRouter } from '../../src/router/plan/service-router.ts';
import { planByMethod } from '../../src/router/plans/service.ts';
import { parseShardMap, type ShardMap } from '../../src/shardmap/shard-map.ts';
import type { CallHandler, NodeCaller } from '../../src/wire/node-caller.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import type { ReadsNetwork } from '../integration/reads-network.ts';
import { noIdentitySource } from './no-identities.ts';

type Request<Name extends MethodName> = MessageByName[`${Name}Request` & keyof MessageByName];
type Response<Name extends MethodName> = MessageByName[`${Name}Response` & keyof MessageByName];

const nodesOf = (slots: number): number => Math.min(2, slots);

function mapOf(slots: number): ShardMap {
  const count = nodesOf(slots);
  const numbers = Array.from({ length: count }, (_unused, node) => node);
  return parseShardMap({
    epoch: 1,
    slots,
    nodes: Object.fromEntries(numbers.map((node) => [`n${node}`, { host: '127.0.0.1', port: 0 }])),
    shards: numbers.map((node) => ({
      name: `s${node}`,
      primary: `n${node}`,
      slots: Array.from({ length: slots / count }, (_unused, index) => String(count * index + node)),
    })),
  });
}

/** Handlers with empty caches: a test need not say what changed. */
function handlersOf({ cluster }: ReadsNetwork, node: number): ReadonlyMap<string, CallHandler> {
  const { handlers } = createReadHandlers({
    slots: cluster.slots.length,
    stateOf: (slot) => (slot % nodesOf(cluster.slots.length) === node ? cluster.slots[slot]?.state : undefined),
    refreshReads: () => {},
    recordCacheBytes: 0,
  });
  return handlers;
}

/** Settles and asks by messages of bsky.Service, as an AppView does. */
export class RoutedNetwork implements AsyncDisposable {
  readonly network: ReadsNetwork;
  readonly router: ServiceRouter;
  /** The names of all calls to nodes so far. */
  readonly calls: string[] = [];

  /**
   * With `isCached` both nodes are the network's own reads, whose caches are invalidated.
   * `searchOf` answers searches of a node.
   */
  constructor(
    network: ReadsNetwork,
    isCached = false,
    searchOf?: (node: number) => (payload: Uint8Array) => Uint8Array,
  ) {
    this.network = network;
    const caller: NodeCaller = {
      call: async ({ node, method, payload }) => {
        this.calls.push(method);
        if (method === nodeCalls.write) return this.#write(payload);
        if (method === nodeCalls.search && searchOf !== undefined) return searchOf(Number(node.slice(1)))(payload);
        const handlers = isCached ? network.reads.handlers : handlersOf(network, Number(node.slice(1)));
        const handler = handlers.get(method);
        if (handler === undefined) throw new Error(`no handler of ${method}`);
        const answer = handler(payload, { method, epoch: 1, deadlineMs: Number.MAX_SAFE_INTEGER });
        // The next read reuses the memory of an answer that comes at once.
        return answer instanceof Uint8Array ? Buffer.from(answer) : answer;
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

  [Symbol.asyncDispose](): Promise<void> {
    return this.network[Symbol.asyncDispose]();
  }
}
