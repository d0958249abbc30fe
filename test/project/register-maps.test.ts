// The page on register maps: its snippets run, and what they state is true.
import { testSnippets } from "./snippets.ts";

testSnippets("docs/register-maps.md", 2);
