// Model of the ECP5's DP16KD as this project uses it, written from Lattice's documents:
//
//   [MEM] FPGA-TN-02204, ECP5 and ECP5-5G Memory Usage Guide: RAM_DP_TRUE and RAM_DP (ports, and
//         timing with and without output registers), Appendix A (attributes)
//   [DS]  FPGA-DS-02012, ECP5 and ECP5-5G Family Data Sheet: section 2.8, sysMEM Memory
//
// 18432 bits, as words of 1, 2, 4, 9, 18 or 36 bits. Each port writes and reads, but words of 36 bits
// are written by A and read by B. Addresses count bits, and the lowest are of no account to wide words. Words of 36 bits, the mode that
// Lattice's primitive PDPW16KD stands for, take the data pins of both ports, A for the low half
// (so does PDPW16KD.v of Lattice's library ECP5U, with WEA high and ADA4 low; the DO18 to DO35 which
// it takes from DOA are where Lattice's generator of memories finds the low half).
//
// Each cycle of latency is a register of its own:
//
//   always            CEB takes the address; DOB is the word after that edge    1 cycle
//   REGMODE_B OUTREG  DOB passes a second register, which OCEB enables          1 cycle
//
// Both registers keep their values in cycles in which their enable is low. CEA and WEA together
// write. Of words of 18 and 36 bits they write the bytes, of 9 bits, that ADA0 to ADA3 enable.
//
// A word read in the cycle that writes it is unspecified ([MEM]), so X here. The contents wake up
// as zeros, the default of INITVAL_00 to INITVAL_3F.
//
// What a port reads while it writes is by its WRITEMODE_x: NORMAL keeps what it read before,
// WRITETHROUGH gives the new word, READBEFOREWRITE the old one ([MEM], write modes).
//
// Refused here: shapes and registers that differ between the ports, and inverted clocks. Without
// effect here: CSx and CSDECODE_x, RSTx and how they reset, INITVAL_xx. The project ties those pins
// low.

module DP16KD (
	input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9,
	input DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0,
	input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9,
	input DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0,
	input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
	input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
	input CLKA, CEA, OCEA, WEA, RSTA, CSA2, CSA1, CSA0,
	input CLKB, CEB, OCEB, WEB, RSTB, CSB2, CSB1, CSB0,
	output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9,
	output DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0,
	output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9,
	output DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
);
	parameter DATA_WIDTH_A = 18;
	parameter DATA_WIDTH_B = 18;
	parameter REGMODE_A = "NOREG";
	parameter REGMODE_B = "NOREG";
	parameter WRITEMODE_A = "NORMAL";
	parameter WRITEMODE_B = "NORMAL";
	parameter CLKAMUX = "CLKA";
	parameter CLKBMUX = "CLKB";
	parameter CSDECODE_A = "0b000";
	parameter CSDECODE_B = "0b000";
	parameter RESETMODE = "SYNC";
	parameter ASYNC_RESET_RELEASE = "SYNC";
	parameter GSR = "ENABLED";
	parameter [319:0]
		INITVAL_00 = 0, INITVAL_01 = 0, INITVAL_02 = 0, INITVAL_03 = 0, INITVAL_04 = 0, INITVAL_05 = 0,
		INITVAL_06 = 0, INITVAL_07 = 0, INITVAL_08 = 0, INITVAL_09 = 0, INITVAL_0A = 0, INITVAL_0B = 0,
		INITVAL_0C = 0, INITVAL_0D = 0, INITVAL_0E = 0, INITVAL_0F = 0, INITVAL_10 = 0, INITVAL_11 = 0,
		INITVAL_12 = 0, INITVAL_13 = 0, INITVAL_14 = 0, INITVAL_15 = 0, INITVAL_16 = 0, INITVAL_17 = 0,
		INITVAL_18 = 0, INITVAL_19 = 0, INITVAL_1A = 0, INITVAL_1B = 0, INITVAL_1C = 0, INITVAL_1D = 0,
		INITVAL_1E = 0, INITVAL_1F = 0, INITVAL_20 = 0, INITVAL_21 = 0, INITVAL_22 = 0, INITVAL_23 = 0,
		INITVAL_24 = 0, INITVAL_25 = 0, INITVAL_26 = 0, INITVAL_27 = 0, INITVAL_28 = 0, INITVAL_29 = 0,
		INITVAL_2A = 0, INITVAL_2B = 0, INITVAL_2C = 0, INITVAL_2D = 0, INITVAL_2E = 0, INITVAL_2F = 0,
		INITVAL_30 = 0, INITVAL_31 = 0, INITVAL_32 = 0, INITVAL_33 = 0, INITVAL_34 = 0, INITVAL_35 = 0,
		INITVAL_36 = 0, INITVAL_37 = 0, INITVAL_38 = 0, INITVAL_39 = 0, INITVAL_3A = 0, INITVAL_3B = 0,
		INITVAL_3C = 0, INITVAL_3D = 0, INITVAL_3E = 0, INITVAL_3F = 0;

	localparam WIDTH = DATA_WIDTH_B;
	localparam SHIFT = $clog2(WIDTH + 1) - 1;
	localparam WORDS = 32 >> SHIFT;  // in a row of 36 bits, of which narrow words leave 4 unused

	generate
		if (DATA_WIDTH_A != DATA_WIDTH_B || REGMODE_A != REGMODE_B
				|| CLKAMUX != "CLKA" || CLKBMUX != "CLKB")
			not_modelled error ();
	endgenerate

	wire [13:0] address_a = {
		ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
	wire [13:0] address_b = {
		ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
	wire [8:0] row_a = address_a[13:5];
	wire [8:0] row_b = address_b[13:5];
	wire [4:0] word_a = address_a[4:0] >> SHIFT;
	wire [4:0] word_b = address_b[4:0] >> SHIFT;
	wire [35:0] data = {
		DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9,
		DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0,
		DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9,
		DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
	wire [3:0] bytes = WIDTH == 36 ? address_a[3:0] : WIDTH == 18 ? {2'b00, address_a[1:0]} : 4'b0001;
	wire [35:0] mask = {{9{bytes[3]}}, {9{bytes[2]}}, {9{bytes[1]}}, {9{bytes[0]}}};

	reg [35:0] memory [0:511];
	integer row;
	initial
		for (row = 0; row < 512; row = row + 1)
			memory[row] = 0;

	wire write = CEA & WEA & |bytes;
	integer place;
	always @(posedge CLKA)
		for (place = 0; place < WORDS * WIDTH; place = place + 1)
			if (write && word_a == place / WIDTH && mask[place % WIDTH])
				memory[row_a][place] <= data[place % WIDTH];

	localparam LOW = WIDTH < 36 ? WIDTH - 1 : 0;
	wire [3:0] bytes_b = WIDTH == 18 ? {2'b00, address_b[1:0]} : 4'b0001;
	wire [17:0] mask_b = {{9{bytes_b[1]}}, {9{bytes_b[0]}}};
	wire [17:0] data_b = {
		DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9,
		DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0};
	wire write_b = WIDTH < 36 && CEB & WEB & |bytes_b[1:0];
	integer place_b;
	always @(posedge CLKB)
		for (place_b = 0; place_b < WORDS * WIDTH; place_b = place_b + 1)
			if (write_b && word_b == place_b / WIDTH && mask_b[place_b % WIDTH % 18])
				memory[row_b][place_b] <= data_b[place_b % WIDTH % 18];

	wire same = row_a == row_b && word_a == word_b;
	wire collides = write && same;
	wire collides_a = write_b && same;
	wire [35:0] shifted = memory[row_b] >> word_b * WIDTH;
	wire [35:0] shifted_a = memory[row_a] >> word_a * WIDTH;
	reg [WIDTH-1:0] first, second, first_a, second_a;
	always @(posedge CLKB) begin
		if (CEB && (!write_b || WRITEMODE_B == "READBEFOREWRITE"))
			first <= collides ? {WIDTH{1'bx}} : shifted[WIDTH-1:0];
		else if (CEB && WRITEMODE_B == "WRITETHROUGH")
			first <= (shifted[WIDTH-1:0] & ~mask_b[LOW:0]) | (data_b[LOW:0] & mask_b[LOW:0]);
		if (OCEB)
			second <= first;
	end
	always @(posedge CLKA) begin
		if (CEA && (!write || WRITEMODE_A == "READBEFOREWRITE"))
			first_a <= collides_a ? {WIDTH{1'bx}} : shifted_a[WIDTH-1:0];
		else if (CEA && WRITEMODE_A == "WRITETHROUGH")
			first_a <= (shifted_a[WIDTH-1:0] & ~mask[WIDTH-1:0]) | (data[WIDTH-1:0] & mask[WIDTH-1:0]);
		if (OCEA)
			second_a <= first_a;
	end

	wire [WIDTH-1:0] read = REGMODE_B == "OUTREG" ? second : first;
	wire [35:0] read_a = REGMODE_A == "OUTREG" ? second_a : first_a;
	wire [35:0] upper = read;
	wire [35:0] pins = WIDTH == 36 ? read : {upper[17:0], read_a[17:0]};
	assign {
		DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9,
		DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0,
		DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9,
		DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0} = pins;
endmodule
