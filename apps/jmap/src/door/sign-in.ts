import type { AccountSession, Attendant } from "@restante/engine";
import type { DoorRequest } from "@restante/host";

/** How requests are let in: by whoever opens the door. */
export interface SignIn {
  signIn(request: DoorRequest, needs: SignInNeeds): Promise<SignedIn>;
}

export interface SignInNeeds {
  readonly scope: string;
  readonly turn?: "request" | "upload";
  readonly opens?: "event-stream" | "web-socket";
}

export interface SignedIn extends Disposable {
  readonly session: AccountSession;
  attend(attendant: Attendant): void;
  again(arrivedAt: number): Promise<SignedIn>;
}

/** The scope that a token for JMAP must have. */
export const SCOPE = "mail";
