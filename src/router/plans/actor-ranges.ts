/** Where a request names its actor and others, as ranges of its bytes. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { FieldScanner } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import { wireType } from '../../proto/message-decoder.ts';

/** Ranges of texts in a request, as alternating starts and ends. */
export type Ranges = number[];

/** Requests that name an actor and others. */
type ActorsRequest =
  | 'GetRelationshipsRequest'
  | 'GetFollowsFollowingRequest'
  | 'GetBidirectionalBlockRequest'
  | 'GetBidirectionalBlockViaListRequest'
  | 'GetActorMutesActorViaListRequest';

/** Returns the range of a request's actor, of which the last one wins, and those of its targets. */
export function scanActors(request: Buffer, message: ActorsRequest): [Ranges, Ranges] {
  const fields = fieldNumber[message];
  const target = 'targetDid' in fields ? fields.targetDid : fields.targetDids;
  const scanner = new FieldScanner(request, message);
  let actor = [0, 0];
  const targets: Ranges = [];
  while (scanner.next()) {
    if (scanner.number !== fields.actorDid && scanner.number !== target) continue;
    requireLengthDelimited(scanner, message);
    if (scanner.number === target) targets.push(scanner.start, scanner.end);
    else actor = [scanner.start, scanner.end];
  }
  return [actor, targets];
}

/** Errors: `InvalidArgument` for a field of another wire type. */
export function requireLengthDelimited({ number, wire }: FieldScanner, path: string): void {
  if (wire !== wireType.lengthDelimited)
    throw new DataPlaneError('InvalidArgument', `${path}: wire type ${wire} does not fit field ${number}`);
}
