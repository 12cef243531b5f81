/** Where a request names its actor and others, as ranges of its bytes. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { FieldScanner } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import { wireType } from '../../proto/message-decoder.ts';

/** Ranges of texts in a request, as alternating starts and ends. */
export type Ranges = number[];

/** The numbers of the two fields that name an actor and others. */
export type ActorFields = { readonly actor: number; readonly target: number };

/** Returns the range of the actor, of which the last one wins, and those of the targets. */
export function actorAndTargets(scanner: FieldScanner, path: string, { actor, target }: ActorFields): [Ranges, Ranges] {
  let last = [0, 0];
  const targets: Ranges = [];
  while (scanner.next()) {
    if (scanner.number !== actor && scanner.number !== target) continue;
    requireLengthDelimited(scanner, path);
    if (scanner.number === actor) last = [scanner.start, scanner.end];
    else targets.push(scanner.start, scanner.end);
  }
  return [last, targets];
}

/** Requests that name an actor and others. */
type ActorsRequest =
  | 'GetRelationshipsRequest'
  | 'GetFollowsFollowingRequest'
  | 'GetBidirectionalBlockRequest'
  | 'GetBidirectionalBlockViaListRequest'
  | 'GetActorMutesActorViaListRequest';

/** Returns the actor of a request and its targets. */
export function scanActors(request: Buffer, message: ActorsRequest): [Ranges, Ranges] {
  const fields = fieldNumber[message];
  const target = 'targetDid' in fields ? fields.targetDid : fields.targetDids;
  return actorAndTargets(new FieldScanner(request, message), message, { actor: fields.actorDid, target });
}

/** Errors: `InvalidArgument` for a field of another wire type. */
export function requireLengthDelimited({ number, wire }: FieldScanner, path: string): void {
  if (wire !== wireType.lengthDelimited)
    throw new DataPlaneError('InvalidArgument', `${path}: wire type ${wire} does not fit field ${number}`);
}
