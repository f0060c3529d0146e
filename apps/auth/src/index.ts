/** Sign-in over HTTP: what the apps behind the HTTPS door are let in by, and the paths under `/auth`. */
export { Auth, type AuthOptions, type SignedIn, type SignInNeeds } from "./auth.ts";
export { explainError } from "./errors.ts";
