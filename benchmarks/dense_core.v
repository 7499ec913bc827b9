// The control of benchmarks.fpga: the same network without sparsity and without events. Every weight is stored,
// zeros too, and every one is read at every step: one a clock, neuron by neuron, added where its source spiked.
// Ports, traces and neurons are those of the event-driven core.
module snn_core (
    input  wire clk,
    input  wire rst,
    input  wire in_valid,
    output wire in_ready,
    input  wire in_end,
    input  wire [BEAT_BITS-1:0] in_event,
    output wire out_valid,
    input  wire out_ready,
    output wire out_last,
    output wire signed [SCORE_BITS-1:0] out_score,
    output wire idle,
    output wire synapse,
    output wire trace_valid,
    output wire trace_spike,
    output wire signed [MEMBRANE_BITS-1:0] trace_v
);
`include "params.vh"
`include "dense.vh"

localparam GATHER = 4'd0, START = 4'd1, LOAD = 4'd2, SWEEP = 4'd3, DRAIN = 4'd4, COMPARE = 4'd5, KEEP = 4'd6,
    NEXT = 4'd7, FETCH = 4'd8, OFFER = 4'd9;

reg [3:0] state;
reg [LAYER_BITS-1:0] layer;
reg [STEP_BITS-1:0] step;
reg [NEURON_BITS-1:0] neuron;
reg [PLACE_BITS-1:0] place;
reg [SOURCE_BITS-1:0] source;
reg [SPIKE_BITS-1:0] spike_at, spike_was;
reg [WORD_BITS-1:0] at;
reg [OUTPUT_BITS-1:0] offered;
reg sweeping, fired;
wire first_step = step == 0;
wire last_step = step == STEPS - 1;
wire last_layer = layer == LAYERS - 1;
wire last_place = place == neurons_of(layer) - 1;
wire last_source = source == sources_of(layer) - 1;

(* ram_style = "block" *) reg signed [WEIGHT_BITS-1:0] weights [0:WORDS-1];
(* ram_style = "block" *) reg spikes [0:SPIKES-1];
(* ram_style = `STYLE_OF_NEURONS *) reg [PARAMETER_BITS-1:0] parameters [0:NEURONS-1];
(* ram_style = `STYLE_OF_MEMBRANES *) reg signed [MEMBRANE_BITS-1:0] membranes [0:NEURONS-1];
(* ram_style = `STYLE_OF_SCORES *) reg signed [SCORE_BITS-1:0] scores [0:OUTPUTS-1];
initial $readmemh("dense.mem", weights);
initial $readmemh("silent.mem", spikes);
initial $readmemh("neurons.mem", parameters);

reg signed [WEIGHT_BITS-1:0] weight_q;
reg spike_q;
reg [PARAMETER_BITS-1:0] parameter_q;
reg signed [MEMBRANE_BITS-1:0] membrane_q, sum, u;
reg signed [SCORE_BITS-1:0] score_q;
wire signed [MEMBRANE_BITS-1:0] held_v = first_step ? start_of(layer, parameter_q) : membrane_q;
wire above = fires(layer) & sum >= threshold_of(layer, parameter_q);
wire signed [MEMBRANE_BITS-1:0] v = clamped(layer, u);
assign in_ready = state == GATHER;
assign idle = state == GATHER & first_step;
assign synapse = sweeping;
assign trace_valid = state == KEEP;
assign trace_spike = fired;
assign trace_v = v;
assign out_valid = state == OFFER;
assign out_last = offered == OUTPUTS - 1;
assign out_score = score_q;

// One port sets a spike that arrives, clears it behind the last neuron that reads it, and keeps a layer's own.
wire arrives = state == GATHER & in_valid & ~in_end;
wire clears = sweeping & layer == 0 & last_place;
wire keeps = state == KEEP & ~last_layer;
wire [SPIKE_BITS-1:0] written = arrives ? in_event : clears ? spike_was : INPUTS + neuron;
always @(posedge clk) begin
    weight_q <= weights[at];
    spike_q <= spikes[spike_at];
    parameter_q <= parameters[neuron];
    membrane_q <= membranes[neuron];
    score_q <= scores[state == FETCH ? offered : place[OUTPUT_BITS-1:0]];
    if (arrives | clears | keeps) spikes[written] <= arrives | keeps & fired;
    if (trace_valid) membranes[neuron] <= v;
    if (trace_valid & last_layer) scores[place[OUTPUT_BITS-1:0]] <= scored(first_step, score_q, fired, v);
    spike_was <= spike_at;
    if (state == LOAD) sum <= leaked(layer, held_v) + bias_of(layer, parameter_q);
    else if (sweeping & spike_q) sum <= sum + scaled(layer, weight_q);
    if (state == COMPARE) begin
        fired <= above;
        u <= above ? reset(layer, sum, parameter_q) : sum;
    end
end

always @(posedge clk)
    if (rst) begin
        state <= GATHER;
        layer <= 0;
        step <= 0;
        neuron <= 0;
        place <= 0;
        source <= 0;
        spike_at <= 0;
        at <= 0;
        offered <= 0;
        sweeping <= 1'b0;
    end else begin
        sweeping <= state == SWEEP;
        case (state)
            GATHER: if (in_valid & in_end) state <= START;
            START: begin
                source <= 0;
                spike_at <= first_source(layer);
                state <= LOAD;
            end
            LOAD: state <= SWEEP;
            SWEEP: begin
                source <= source + 1'b1;
                spike_at <= spike_at + 1'b1;
                at <= at + 1'b1;
                if (last_source) state <= DRAIN;
            end
            DRAIN: state <= COMPARE;
            COMPARE: state <= KEEP;
            KEEP: state <= NEXT;
            NEXT: begin
                place <= last_place ? 0 : place + 1'b1;
                neuron <= last_place & last_layer ? 0 : neuron + 1'b1;
                if (last_place) layer <= last_layer ? 0 : layer + 1'b1;
                if (last_place & last_layer) begin
                    at <= 0;
                    step <= last_step ? 0 : step + 1'b1;
                    state <= last_step ? FETCH : GATHER;
                end else state <= START;
            end
            FETCH: state <= OFFER;
            default: if (out_ready) begin
                offered <= out_last ? 0 : offered + 1'b1;
                state <= out_last ? GATHER : FETCH;
            end
        endcase
    end
endmodule
