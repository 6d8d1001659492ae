// Model of the ECP5's MULT18X18D as this project uses it, written from Lattice's documents:
//
//   [DSP] FPGA-TN-02205, ECP5 and ECP5-5G sysDSP Usage Guide:
//         block diagram of the slice, and the ports and attributes of primitive MULT18X18D
//   [DS]  FPGA-DS-02012, ECP5 and ECP5-5G Family Data Sheet:
//         section 2.9, sysDSP Slice; section 2.9.2, its architecture
//
// P = A * B, each signed or unsigned by SIGNEDA and SIGNEDB. Each cycle of latency is a register
// of its own, which exists only if its attribute names a clock ([DSP], attributes of MULT18X18D):
//
//   REG_INPUTA_CLK    IR: A and SIGNEDA, in front of the multiplier     1 cycle
//   REG_INPUTB_CLK    IR: B and SIGNEDB, in front of the multiplier     1 cycle, beside that of A
//   REG_PIPELINE_CLK  PR: behind the partial products                   1 cycle
//   REG_OUTPUT_CLK    OR: P                                             1 cycle
//
// A value of "NONE", the default, leaves the register out; CLK0 to CLK3 pick its clock. REG_*_CE
// picks one of CE0 to CE3: the register keeps its value in cycles with that input low ([DS] 2.9.2).
// Registers, enables and signs are those of Lattice's own simulation model too (MULT18X18D.v of
// the library ECP5U), in which CLK0_DIV must stay "ENABLED" for one edge a cycle.
//
// A block of four multipliers shares four enables. nextpnr moves them among CE0 to CE3 and corrects
// each REG_*_CE that is given, but not a default (remap_dsp_cell in its ecp5/arch_place.cc); and
// REG_OUTPUT_CE it does not write, as Project Trellis knows no bits for it (MIB*_DSP*/bits.db). So
// the project names each enable and leaves OR out.
//
// Refused here: clocks other than CLK0, and the pins of the chains (SRIA, SRIB, SROA, SROB, ROA,
// ROB, ROC) and SIGNEDP, which this model has not. Without effect here: SOURCEA and SOURCEB (high,
// they take the operands from the chains), C, RST0 and GSR. The project ties those pins low.

module MULT18X18D (
	input A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
	input B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
	input C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
	input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
	input CLK0, CE0, CE1, CE2, CE3, RST0,
	output P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
	output P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
	parameter REG_INPUTA_CLK = "NONE";
	parameter REG_INPUTA_CE = "CE0";
	parameter REG_INPUTB_CLK = "NONE";
	parameter REG_INPUTB_CE = "CE0";
	parameter REG_PIPELINE_CLK = "NONE";
	parameter REG_PIPELINE_CE = "CE0";
	parameter REG_OUTPUT_CLK = "NONE";
	parameter REG_OUTPUT_CE = "CE0";
	parameter GSR = "ENABLED";

	// One bit more than the operand makes a signed number of it, whatever its sign input says.
	wire signed [18:0] a = {SIGNEDA & A17,
		A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0};
	wire signed [18:0] b = {SIGNEDB & B17,
		B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0};

	wire [18:0] ir_a, ir_b;
	wire [35:0] pr;
	wire signed [37:0] product = $signed(ir_a) * $signed(ir_b);
	wire [3:0] ce = {CE3, CE2, CE1, CE0};

	mult18x18d_register #(.WIDTH(19), .CLK(REG_INPUTA_CLK), .CE(REG_INPUTA_CE))
		input_a (.clk(CLK0), .ce(ce), .d(a), .q(ir_a));
	mult18x18d_register #(.WIDTH(19), .CLK(REG_INPUTB_CLK), .CE(REG_INPUTB_CE))
		input_b (.clk(CLK0), .ce(ce), .d(b), .q(ir_b));
	mult18x18d_register #(.WIDTH(36), .CLK(REG_PIPELINE_CLK), .CE(REG_PIPELINE_CE))
		pipeline (.clk(CLK0), .ce(ce), .d(product[35:0]), .q(pr));
	mult18x18d_register #(.WIDTH(36), .CLK(REG_OUTPUT_CLK), .CE(REG_OUTPUT_CE))
		output_p (.clk(CLK0), .ce(ce), .d(pr), .q({
			P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
			P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0}));
endmodule

module mult18x18d_register #(
	parameter WIDTH = 1,
	parameter CLK = "NONE",
	parameter CE = "CE0"
) (
	input clk,
	input [3:0] ce,
	input [WIDTH-1:0] d,
	output [WIDTH-1:0] q
);
	wire enable = CE == "CE0" ? ce[0] : CE == "CE1" ? ce[1] : CE == "CE2" ? ce[2] : ce[3];

	generate
		if (CLK == "NONE") begin : bypass
			assign q = d;
		end else if (CLK == "CLK0") begin : register
			reg [WIDTH-1:0] held;
			always @(posedge clk)
				if (enable)
					held <= d;
			assign q = held;
		end else begin : refused
			not_modelled error ();
		end
	endgenerate
endmodule
