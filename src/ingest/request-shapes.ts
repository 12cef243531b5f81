/** What requests of operators to ingest name. */
import * as v from 'valibot';
import { isKeyableDid } from '../atproto/compact-key.ts';
import { isPlcText, plcDidLength } from '../atproto/did-plc.ts';
import { openObjectShape, readShape } from '../config/json-shape.ts';
import { refuseRequest } from '../http/json-route.ts';

function isWellFormed(did: string): boolean {
  return !did.startsWith('did:plc:') || (did.length === plcDidLength && isPlcText(did, 0));
}

export const didShape = v.pipe(
  v.string('must be a DID'),
  v.check(isKeyableDid, ({ input }) => `must be a DID, not "${input.slice(0, 80)}"`),
);

/** What is refused for good, or removed, must at least be able to exist. */
export const wellFormedDidShape = v.pipe(
  didShape,
  v.check(isWellFormed, ({ input }) => `"${input}" is no did:plc, which has 24 letters and digits`),
);

/** Returns the DID of a query. Errors: DataPlaneError `InvalidArgument`. */
export function didOf(query: URLSearchParams): string {
  return readShape(openObjectShape({ did: didShape }), { did: query.get('did') }, (problem) => refuseRequest(problem))
    .did;
}
