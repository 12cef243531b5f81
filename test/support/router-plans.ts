/** A router over fake nodes, by default two, called with messages of bsky.Service. */

import fc from 'fast-check';
import { systemClock } from '../../src/base/clock.ts';
import { DataPlaneError } from '../../src/base/data-plane-error.ts';
import { decodeMessage, encodeMessage, methodByName } from '../../src/proto/codec.ts';
import type { MessageByName, MethodName } from '../../src/proto/generated/bsky-service.ts';
import type { MessageInput } from '../../src/proto/schema.ts';
import { defaultAdmissionLimits } from '../../src/router/plan/admission.ts';
import { ServiceRouter } from '../../src/router/plan/service-router.ts';
import type { ServiceRouterOptions } from '../../src/router/plan/service-router-options.ts';
import { planByMethod } from '../../src/router/plans/service.ts';
import type { ShardMap } from '../../src/shardmap/shard-map.ts';
import { didOf, emptyNetwork, FakeNodes, postOf, twoNodeMap } from './fake-nodes.ts';
import { noIdentitySource } from './no-identities.ts';

type Request<Name extends MethodName> = MessageByName[`${Name}Request` & keyof MessageByName];
type Response<Name extends MethodName> = MessageByName[`${Name}Response` & keyof MessageByName];

export class RouterPlans {
  readonly nodes: FakeNodes;
  readonly router: ServiceRouter;

  constructor(map: ShardMap = twoNodeMap()) {
    this.nodes = new FakeNodes(map, emptyNetwork());
    this.router = this.routerOf();
  }

  /** Makes another router over the same nodes. */
  routerOf(options: Partial<ServiceRouterOptions> = {}): ServiceRouter {
    return new ServiceRouter({
      map: this.nodes.map,
      caller: this.nodes,
      identity: noIdentitySource,
      plans: planByMethod,
      admission: defaultAdmissionLimits,
      clock: systemClock,
      onFault: (error) => {
        throw error;
      },
      ...options,
    });
  }

  async ask<Name extends MethodName>(
    method: Name,
    request: MessageInput<Request<Name>>,
    by = this.router,
  ): Promise<Response<Name>> {
    const names = methodByName.get(method)!;
    const bytes = encodeMessage(names.request, request as never);
    const answer = await by.handle(method, bytes, { caller: 'test', timeoutMs: null });
    return decodeMessage(names.response, answer) as Response<Name>;
  }
}

/** Returns the error of a request that must fail. */
export async function refusal(running: unknown): Promise<DataPlaneError> {
  try {
    await running;
  } catch (thrown) {
    if (thrown instanceof DataPlaneError) return thrown;
    throw thrown;
  }
  throw new Error('nothing was refused');
}

/** DIDs of both nodes, unknown ones and malformed ones, with repetitions. */
export const anyDid = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 40 }).map(didOf) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'did:web:example.com',
      'did:plc:short',
      '',
      'nonsense',
      'did:PLC:abc',
      `did:plc:${'é'.repeat(12)}`,
    ),
  },
);
/** URIs of both nodes, and of records that no node holds. */
export const anyUri = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 3 }))
      .map(([a, r]) => postOf(a, `r${r}`)),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('at://alice.test/app.bsky.feed.post/1', 'at://did:web:example.com/app.bsky.feed.post/1'),
  },
);
export const malformedUri = fc.constantFrom('', 'https://a.b/c', 'at://', 'at://did:plc:x y/a/b', 'nonsense uri');
