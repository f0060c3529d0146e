import {
  boolean,
  type Element,
  many,
  one,
  optional,
  readValues,
  SchemaError,
  schema,
  group as shapeOf,
  text,
} from "wbxml";
import { OPERATIONS_MAX, REQUEST_BYTES_MAX } from "../limits.ts";
import { group, leaf } from "../protocol/elements.ts";

/** Statuses: MS-ASCMD §2.2.3.177.18. */
const OK = 1;
const PROTOCOL = 2;
const UNTRUSTED = 4;

const CERTIFICATE = many("ValidateCert:Certificate", text(REQUEST_BYTES_MAX), OPERATIONS_MAX);
const VALIDATE = schema(
  "ValidateCert:ValidateCert",
  shapeOf({
    chain: optional("ValidateCert:CertificateChain", shapeOf({ list: CERTIFICATE })),
    certificates: one("ValidateCert:Certificates", shapeOf({ list: CERTIFICATE })),
    checksRevoked: optional("ValidateCert:CheckCRL", boolean),
  }),
);

/** ValidateCert: MS-ASCMD §2.2.1.22. No authority for S/MIME is known to this server: it vouches for nobody. */
export async function validateCert(body: Element | undefined): Promise<Element> {
  try {
    const { certificates } = readValues(VALIDATE, body ?? group("ValidateCert:ValidateCert"));
    if (certificates.list.length === 0) return answer(PROTOCOL);
    const told = certificates.list.map(() => group("ValidateCert:Certificate", leaf("ValidateCert:Status", UNTRUSTED)));
    return answer(OK, ...told);
  } catch (error) {
    if (error instanceof SchemaError) return answer(PROTOCOL);
    throw error;
  }
}

function answer(status: number, ...children: readonly Element[]): Element {
  return group("ValidateCert:ValidateCert", leaf("ValidateCert:Status", status), ...children);
}
