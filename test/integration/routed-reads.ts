/** A router whose one node is a ReadsNetwork: whole methods over real slots, without the wire. */
import { systemClock } from '../../src/base/clock.ts';
import { invariant } from '../../src/base/invariant.ts';
import { decodeEntry } from '../../src/entry/entry-codec.ts';
import { decodeMessage, encodeMessage, methodByName } from '../../src/proto/codec.ts';
import type { MessageByName, MethodName } from '../../src/proto/generated/bsky-service.ts';
import type { MessageInput } from '../../src/proto/schema.ts';
import { defaultAdmissionLimits } from '../../src/router/plan/admission.ts';
import { ServiceRouter } from '../../src/router/plan/service-router.ts';
import { planByMethod } from '../../src/router/plans/service.ts';
import { parseShardMap } from '../../src/shardmap/shard-map.ts';
import type { NodeCall, NodeCaller } from '../../src/wire/node-caller.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { noIdentitySource } from '../support/no-identities.ts';
import { ReadsNetwork } from './reads-network.ts';

type Request<Name extends MethodName> = MessageByName[`${Name}Request` & keyof MessageByName];
type Response<Name extends MethodName> = MessageByName[`${Name}Response` & keyof MessageByName];

export class RoutedReads implements NodeCaller, AsyncDisposable {
  readonly network: ReadsNetwork;
  readonly router: ServiceRouter;

  constructor(slots: number) {
    this.network = new ReadsNetwork({ slots });
    this.router = new ServiceRouter({
      map: parseShardMap({
        epoch: 1,
        slots,
        nodes: { n0: { host: '127.0.0.1', port: 0 } },
        shards: [{ name: 's0', primary: 'n0', slots: [`0-${slots - 1}`] }],
      }),
      caller: this,
      identity: noIdentitySource,
      plans: planByMethod,
      admission: defaultAdmissionLimits,
      clock: systemClock,
      onFault: (error) => {
        throw error;
      },
    });
  }

  async call({ method, payload }: NodeCall): Promise<Uint8Array> {
    if (method !== nodeCalls.write) return this.network.call(method, payload);
    const entry = decodeEntry(payload);
    invariant(entry.kind === 'private', 'a write is a private entry');
    this.network.write(entry.did, entry.write);
    this.network.settle();
    return Buffer.alloc(0);
  }

  /** Asks the router for a method of bsky.Service. */
  async ask<Name extends MethodName>(method: Name, request: MessageInput<Request<Name>>): Promise<Response<Name>> {
    const names = methodByName.get(method)!;
    const bytes = encodeMessage(names.request, request as never);
    const answer = await this.router.handle(method, bytes, { caller: 'test', timeoutMs: null });
    return decodeMessage(names.response, answer) as Response<Name>;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.network[Symbol.asyncDispose]();
  }
}
