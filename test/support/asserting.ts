// Loaded before every test file (bunfig.toml): a test that asserts nothing fails. So does one whose every expectation stands
// in a condition that did not hold, or in a loop over what turned out to be empty.
import { beforeEach, expect } from "bun:test";

beforeEach(() => expect.hasAssertions());
