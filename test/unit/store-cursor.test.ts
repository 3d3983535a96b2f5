import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidInput } from "../../core/contract/errors.ts";
import { decodeCursor, encodeCursor } from "../../store/cursor.ts";

describe("a cursor", () => {
  it("brings back its place, is safe in a URL, and is good for its kind only", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 200, unit: "grapheme" }), (place) => {
        const cursor = encodeCursor("jobs", place);
        expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(decodeCursor("jobs", cursor)).toBe(place);
        expect(() => decodeCursor("others", cursor)).toThrow(InvalidInput);
      }),
    );
  });

  it("is refused when it is anything else", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!text.startsWith(encodeCursor("jobs", "")));
        expect(() => decodeCursor("jobs", text)).toThrow(InvalidInput);
      }),
    );
    const cursor = encodeCursor("jobs", "0192f");
    for (const odd of ["", `${cursor}=`, `${cursor} `, cursor.slice(0, -1), encodeCursor("jobs", ""), encodeCursor("jobs", "x".repeat(1025))]) {
      expect(() => decodeCursor("jobs", odd)).toThrow(InvalidInput);
    }
  });

  it("is not needed for a first page", () => {
    expect(decodeCursor("jobs", undefined)).toBeUndefined();
  });
});
