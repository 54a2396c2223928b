#!/usr/bin/env python3
"""check_registers must see what is wrong with reports that were made for that."""
import os
import subprocess
import sys
import tempfile
import unittest

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "check_registers")

ENTRY = """ptxas info    : Compiling entry function '{name}' for 'sm_80'
ptxas info    : Function properties for {name}
    {stack} bytes stack frame, {spill} bytes spill stores, 0 bytes spill loads
ptxas info    : Used {registers} registers, used 1 barriers, 416 bytes cmem[0]
"""
# a::add(float*), void a::scale<128>(float*), a::(anonymous namespace)::hidden(float*)
ADD = "_ZN1a3addEPf"
SCALE = "_ZN1a5scaleILi128EEEvPf"
HIDDEN = "_ZN1a41_GLOBAL__N__322d2138_9_decode_cc_e5ce54116hiddenEPf"


def entry(name, registers=30, spill=0, stack=0):
    return ENTRY.format(name=name, registers=registers, spill=spill, stack=stack)


class CheckRegisters(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.count = 0

    def file(self, text):
        self.count += 1
        path = os.path.join(self.folder.name, str(self.count))
        with open(path, "w") as file:
            file.write(text)
        return path

    def run_tool(self, report, ceilings="a::* 32\n", logs=()):
        command = [sys.executable, TOOL, "--ceilings", self.file(ceilings)]
        for log in logs:
            command += ["--launched", self.file(log)]
        done = subprocess.run(command + [self.file("ptxas info    : 0 bytes gmem\n" + report)],
                              capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def test_lists_every_kernel(self):
        code, text = self.run_tool(entry(ADD) + entry(SCALE, 32) + entry(HIDDEN))
        self.assertEqual(code, 0, text)
        for name in ("a::add\n", "a::scale<128>\n", "a::_unnamed::hidden\n"):
            self.assertIn(name, text)

    def test_fails_on_a_spill(self):
        code, text = self.run_tool(entry(ADD) + entry(SCALE, spill=8))
        self.assertEqual(code, 1)
        self.assertIn("a::scale<128>  <- spills 8 bytes", text)

    def test_fails_above_the_ceiling(self):
        code, text = self.run_tool(entry(ADD, 33))
        self.assertEqual(code, 1)
        self.assertIn("a::add  <- needs more than 32 registers", text)

    def test_takes_the_first_line_that_matches(self):
        ceilings = "# comment\na::add 40  # why\na::* 32\n"
        self.assertEqual(self.run_tool(entry(ADD, 40), ceilings)[0], 0)
        self.assertEqual(self.run_tool(entry(SCALE, 40), ceilings)[0], 1)

    def test_fails_without_a_ceiling(self):
        code, text = self.run_tool(entry(ADD), "b::* 32\n")
        self.assertEqual(code, 1)
        self.assertIn("has no ceiling", text)

    def test_fails_on_a_report_without_kernels(self):
        self.assertNotEqual(self.run_tool("")[0], 0)

    def test_finds_what_nobody_launched(self):
        report = entry(ADD) + entry(SCALE) + entry(HIDDEN)
        first = "a::add 3\na::scale<128> 0\n"
        second = "a::add 0\na::{anonymous}::hidden 1\n"
        code, text = self.run_tool(report, logs=[first, second])
        self.assertEqual(code, 1)
        self.assertIn("never launched: a::scale<128>\n", text)
        self.assertEqual(text.count("never launched"), 1)
        third = "a::scale<128> 1\n"
        self.assertEqual(self.run_tool(report, logs=[first, second, third])[0], 0)


if __name__ == "__main__":
    unittest.main()
