/** The request layer and the methods, which need no door and no Node. */
export { RequestError } from "./core/errors.ts";
export { parseIJson } from "./core/i-json.ts";
export type { Context, Method } from "./core/method.ts";
export { type Api, answerRequest, NO_PACE, type Request, readRequest } from "./core/request.ts";
export { METHODS, methodsByName } from "./methods.ts";
export { PROPERTIES } from "./objects.ts";
export { accountIdOf, CAPABILITIES, sessionObject } from "./session-object.ts";
