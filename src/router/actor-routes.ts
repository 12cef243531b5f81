/** Operators' endpoints for tags of records and actors, and for the age assurance of actors. */
import * as v from 'valibot';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { objectShape, textShape } from '../config/json-shape.ts';
import { type JsonRoute, postRoute } from '../http/json-route.ts';
import { decodeMessage, encodeMessage } from '../proto/codec.ts';
import { requireDid, requireRecord, writeAs } from './operator-write.ts';
import type { ServiceRouter } from './plan/service-router.ts';
import { storedRecord } from './stored-record.ts';

const tagsMax = 64;
/** Units: characters. */
const textLengthMax = 128;
const shortMessage = `must be a text of 1 to ${textLengthMax} characters`;
const shortText = v.pipe(
  v.string(shortMessage),
  v.minLength(1, shortMessage),
  v.maxLength(textLengthMax, shortMessage),
);
const tagsMessage = `must be a list of at most ${tagsMax} texts`;
const tagsShape = v.pipe(v.array(shortText, tagsMessage), v.maxLength(tagsMax, tagsMessage));
const timeMessage = 'must be a time, such as 2025-01-31T12:00:00Z';
const timeShape = v.pipe(
  v.string(timeMessage),
  v.check((text) => !Number.isNaN(Date.parse(text)), timeMessage),
);

/** Those of the lexicon: with another, apps would show an actor nothing that it may see. */
function oneOf(known: readonly string[]): v.GenericSchema<string> {
  return v.picklist(known, `must be one of ${known.join(', ')}`);
}
const statusShape = oneOf(['unknown', 'pending', 'assured', 'blocked']);
const accessShape = oneOf(['unknown', 'none', 'safe', 'full']);

const tagBody = objectShape({ subject: textShape, tags: tagsShape });
const ageBody = objectShape({
  did: textShape,
  status: statusShape,
  access: v.optional(accessShape),
  countryCode: v.optional(shortText),
  regionCode: v.optional(shortText),
  lastInitiatedAt: v.optional(timeShape),
});
const didBody = objectShape({ did: textShape });
const verifierBody = objectShape({ did: textShape, isTrusted: v.boolean('must be true or false') });

/** Trust is kept with the actor, so one that nobody has seen cannot be trusted. */
async function requireActor(router: ServiceRouter, did: string): Promise<void> {
  const request = encodeMessage('GetActorsRequest', { dids: [did] });
  const answer = await router.handle('GetActors', request, { caller: 'operator', timeoutMs: null });
  if (decodeMessage('GetActorsResponse', answer).actors[0]?.exists === true) return;
  const hint = `\`skyshard backfill ${did}\` fetches its repo, after which it is known.`;
  throw new DataPlaneError('NotFound', `nothing is known of ${did}`, { hint });
}

/**
 * `POST /v1/tags` replaces the tags of a record, by its AT-URI, or of an actor, by its DID. `POST
 * /v1/age-assurance` sets what is given of an actor's, and `…/clear` removes it. `POST
 * /v1/verifiers` trusts an actor's verifications, or no longer.
 */
export function actorRoutes(router: ServiceRouter, clock: Clock): JsonRoute[] {
  return [
    postRoute('/v1/tags', tagBody, async ({ subject, tags }) => {
      if (subject.startsWith('at://')) {
        const ref = requireRecord(subject);
        // They are kept with the record, so those of one that is not stored would be lost.
        await storedRecord(router, clock, ref);
        const { did, collection, rkey } = ref;
        await writeAs(router, clock, did, { type: 'record-tags', collection, rkey, tags });
      } else await writeAs(router, clock, requireDid(subject), { type: 'actor-tags', tags });
      return { subject, tags };
    }),
    postRoute('/v1/age-assurance', ageBody, async (body) => {
      const { status, access = null, countryCode = null, regionCode = null, lastInitiatedAt } = body;
      const lastInitiatedMs = lastInitiatedAt === undefined ? null : Date.parse(lastInitiatedAt);
      const change = { status, access, countryCode, regionCode, lastInitiatedMs };
      await writeAs(router, clock, requireDid(body.did), { type: 'age-assurance', change });
      return body;
    }),
    postRoute('/v1/age-assurance/clear', didBody, async ({ did }) => {
      await writeAs(router, clock, requireDid(did), { type: 'age-assurance', change: null });
      return { did };
    }),
    postRoute('/v1/verifiers', verifierBody, async ({ did, isTrusted }) => {
      await requireActor(router, requireDid(did));
      await writeAs(router, clock, did, { type: 'trusted-verifier', isTrusted });
      return { did, isTrusted };
    }),
  ];
}
