import { expect, test } from "vitest";
import { allOf, HeldFolder, mailText, openPhone, textOf } from "../activesync-kit.ts";
import { group, leaf } from "../protocol/elements.ts";

test("a thousand moves among many folders take no longer than their folders are looked at once", async () => {
  const { phone } = await openPhone();
  for (let n = 0; n < 400; n++) await phone.session.create(`F${n}`);
  for (let n = 0; n < 3; n++) await phone.append(mailText(n));
  const [inbox, trash] = [await phone.folder(2), await phone.folder(4)];
  const held = new HeldFolder();
  await phone.catchUp(inbox, held);
  const ids = [...held.items.keys()];
  const { state } = phone.session;
  let looks = 0;
  const live = state.liveMailboxes.bind(state);
  state.liveMailboxes = () => {
    looks++;
    return live();
  };
  const move = (item: string) =>
    group("Move:Move", leaf("Move:SrcMsgId", item), leaf("Move:SrcFldId", inbox), leaf("Move:DstFldId", trash));
  const moves = Array.from({ length: 1000 }, (_, n) => move(ids[n] ?? `none ${n}`));
  const statuses = async () =>
    allOf(await phone.command("MoveItems", group("Move:MoveItems", ...moves)), "Move:Response").map((one) => [
      textOf(one, "Move:Status"),
      textOf(one, "Move:DstMsgId"),
    ]);
  const first = await statuses();
  expect(first.slice(0, 4).map(([status]) => status)).toEqual(["3", "3", "3", "1"]);
  expect(new Set(first.slice(0, 3).map(([, id]) => id)).size).toBe(3);
  expect(await statuses()).toEqual(first);
  expect(looks).toBeLessThan(4);
});
