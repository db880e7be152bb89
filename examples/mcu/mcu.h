/* mcu.h -- tables that a desktop makes (tables.c) and that stay in flash: eigenvalues of the noise
 * and of the data, times of the steps, and the weights of a trained network. */
enum { MCU_N = 32, MCU_STEPS = 20 };
extern const double mcu_noise[MCU_N], mcu_data[MCU_N], mcu_times[MCU_STEPS + 1];
extern const fd_real mcu_weights[];
extern const int mcu_count;                      /* how many weights these are */
static const fd_arch mcu_arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 6,
    .layers = 2, .time = FD_TIME_CHANNEL, .fno = { .modes = { 12 }, .lift = -1, .proj = 12 } };
